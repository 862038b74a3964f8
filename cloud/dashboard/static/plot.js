// Plots by uPlot, in the page's colours, as wide as their place; uplot/uPlot.iife.min.js stands on the page before.
const plots = new Set();

function value(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

// A colour of the page, as it is when something is drawn: light and dark differ.
export function colour(name) { return () => value(name); }

export function axis(options) {
  return { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1, size: 4 }, font: "12px system-ui", ...options };
}

// Draws in `place`, in place of what was drawn there before.
export class Plot {
  // `resized` is called in place of stretching what is drawn.
  constructor(place, resized = () => this.drawn?.setSize({ width: place.clientWidth, height: this.drawn.height })) {
    this.place = place;
    this.drawn = null;
    plots.add(this);
    new ResizeObserver(resized).observe(place);
  }

  draw(options, data) {
    const cursor = this.drawn?.cursor;
    this.drawn?.destroy();
    this.drawn = new globalThis.uPlot({ width: this.place.clientWidth, legend: { show: false }, ...options }, data, this.place);
    // What the pointer is at can still be read.
    if (cursor?.left >= 0) this.drawn.setCursor({ left: cursor.left, top: cursor.top });
  }

  redraw() { this.drawn?.redraw(false); }
}

function redraw() { for (const plot of plots) plot.redraw(); }
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
