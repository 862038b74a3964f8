// The trade-off: what agrees, or which events are found, by how much is sent; the filter beside what costs nothing.
import { Plot, axis, colour } from "./plot.js";
import { element } from "./tile.js";
import { percent } from "./words.js";

const HEIGHT = 280;
const NEAR_PX = 40;
// Those of what costs nothing that are judged at as many inputs as the filter sends.
const FREE = {
  "every K-th": ["--kind0", [8, 4]], random: ["--kind2", [2, 3]], "difference to last kept": ["--kind3", [10, 3, 2, 3]], background: ["--kind4", [4, 2]],
};
const at = (id) => document.getElementById(id);

export class Curve {
  // `chosen` is told which of the points somebody has clicked at.
  constructor(chosen) {
    this.plot = new Plot(at("curve"));
    this.chosen = chosen;
    this.found = null;
    this.point = null;
    this.sides = [];
  }

  show(found) {
    this.found = found;
    this.what = found.aim === "events" ? "events found" : "agreement";
    this.order = found.points.map((_, place) => place).sort((one, other) => found.points[one].sent - found.points[other].sent);
    this.free = Object.keys(FREE).filter((name) => found.points.some((point) => this.beside(point, name)));
    at("curve-block").hidden = !found.points.some((point) => this.good(point) !== null);
    if (at("curve-block").hidden) return;
    this.draw();
    this.fillTable();
  }

  beside(point, name) { return point.baselines.find((each) => each.name === name); }

  // Filters that were judged on the same inputs.
  judged(sides) {
    this.sides = sides;
    if (!at("curve-block").hidden) this.draw();
  }

  // The dial stands at a point now; null: at none.
  stand(point) {
    this.point = point;
    if (at("curve-block").hidden) return;
    this.plot.redraw();
    this.tell(point);
  }

  good(each) { return this.found.aim === "events" ? each.recall : each.accuracy; }

  askedOf(place) { return Math.max(...this.found.levels.filter((level) => level.point === place).map((level) => level.asked)); }

  series() {
    const points = this.order.map((place) => this.found.points[place]);
    const table = (pairs) => {
      const kept = new Map(pairs.filter(([, good]) => good !== null).sort(([one], [other]) => one - other).map(([sent, good]) => [100 * sent, 100 * good]));
      return [[...kept.keys()], [...kept.values()]];
    };
    return [
      { name: "the filter", colour: "--kind1", dash: [], width: 3, table: table(points.map((each) => [each.sent, this.good(each)])) },
      { name: "asked for", colour: "--soft", dash: [3, 3], width: 1, table: table(this.order.map((place) => [this.found.points[place].sent, this.askedOf(place)])) },
      ...this.free.map((name) => {
        const there = points.map((point) => this.beside(point, name)).filter(Boolean);
        return { name, colour: FREE[name][0], dash: FREE[name][1], width: 2, table: table(there.map((each) => [each.sent, this.good(each)])) };
      }),
      ...this.sides.map((side) => ({ name: side.name, colour: "--accent", dash: [], width: 0, table: table([[side.sent, this.good(side)]]) })),
    ];
  }

  draw() {
    const series = this.series();
    const shares = (_, splits) => splits.map((each) => `${each} %`);
    this.plot.draw({
      height: HEIGHT,
      scales: { x: { time: false }, y: { range: (_, least, most) => [Math.max(0, least - 3), Math.min(101, most + 3)] } },
      axes: [axis({ values: shares, label: "share of the inputs that is sent", size: 30, labelSize: 20, labelFont: "12px system-ui" }), axis({ values: shares, size: 56 })],
      series: [{}, ...series.map((each) => ({
        stroke: colour(each.colour), width: each.width, dash: each.dash, spanGaps: true,
        points: { show: each.name !== "asked for", size: each.width ? 6 : 12, fill: colour(each.colour) },
      }))],
      // Else it takes a click for the end of a drag.
      cursor: { drag: { x: false, y: false, click: () => {} }, points: { show: false }, y: false },
      hooks: { draw: [(plot) => this.mark(plot)], setCursor: [(plot) => this.tell(this.near(plot) ?? this.point)], ready: [(plot) => this.listen(plot)] },
    }, globalThis.uPlot.join(series.map((each) => each.table)));
    at("curve-legend").replaceChildren(...series.map((each) => {
      const line = element("span", { class: "line" });
      line.style.borderTop = `${each.width ? Math.max(2, each.width) : 10}px ${each.dash.length ? "dashed" : "solid"} var(${each.colour})`;
      return element("span", {}, line, each.name);
    }));
  }

  // The dial's place, over everything.
  mark(plot) {
    if (this.point === null || this.good(this.point) === null) return;
    const context = plot.ctx;
    const ratio = globalThis.devicePixelRatio;
    const x = plot.valToPos(100 * this.point.sent, "x", true);
    const y = plot.valToPos(100 * this.good(this.point), "y", true);
    context.save();
    context.strokeStyle = colour("--ink")();
    context.lineWidth = 2 * ratio;
    context.beginPath();
    context.arc(x, y, 8 * ratio, 0, 2 * Math.PI);
    context.moveTo(x, y + 8 * ratio);
    context.lineTo(x, plot.bbox.top + plot.bbox.height);
    context.stroke();
    context.restore();
  }

  listen(plot) {
    plot.over.addEventListener("click", () => {
      const point = this.near(plot);
      if (point !== null) this.chosen(this.found.points.indexOf(point));
    });
  }

  // The point that is nearest to the pointer; null: none is near.
  near(plot) {
    const { left } = plot.cursor;
    if (left === null || left < 0) return null;
    const far = (point) => Math.abs(plot.valToPos(100 * point.sent, "x") - left);
    const nearest = this.order.map((place) => this.found.points[place]).reduce((one, other) => (far(other) < far(one) ? other : one));
    return far(nearest) <= NEAR_PX ? nearest : null;
  }

  tell(point) {
    const free = point === null ? [] : this.free.map((name) => `${name} ${this.words(this.beside(point, name))}`);
    const text = point === null ? "" : [`${percent(point.sent)} sent: ${this.words(point)} ${this.what}`, ...free].join(", ");
    at("curve-told").textContent = text;
    at("curve").setAttribute("aria-label", `${this.what} by how much is sent, of ${this.found.points.length} gates; a table of them follows. ${text}`);
  }

  words(each) { return each === undefined || this.good(each) === null ? "–" : percent(this.good(each)); }

  fillTable() {
    const { points } = this.found;
    at("curve-head").replaceChildren(element("tr", {}, ...["sent", "asked for, up to", `the filter: ${this.what}`, ...this.free].map((text) => element("th", { text, scope: "col", class: "number" }))));
    at("curve-rows").replaceChildren(...this.order.map((place) => {
      const point = points[place];
      const cells = [percent(point.sent), percent(this.askedOf(place)), this.words(point), ...this.free.map((name) => this.words(this.beside(point, name)))];
      return element("tr", {}, ...cells.map((text) => element("td", { class: "number", text })));
    }));
  }
}
