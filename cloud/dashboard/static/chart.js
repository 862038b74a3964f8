// The chart of a stretch of time: bars of what was sent and what was not, audits and how far they agree, and below on the
// same axis a lane for each thing that was seen, for the governor, the camera and what was noted.
import { Plot, axis, colour } from "./plot.js";
import { clock, percent, tick } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const BARS = 72;
const GAP = 16;
const LANE = 20;
const AXIS = 24;
const MOST_LANES = 10;
const NARROW = 600;

function make(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "key") made.dataset.key = value;
    else made.setAttribute(key, value);
  }
  if (text !== undefined) made.textContent = text;
  return made;
}

function titled(shape, text) {
  shape.append(make("title", {}, text));
  return shape;
}

export class Chart {
  // `zoomed` is told the stretch that somebody has drawn with the pointer, `read` what the pointer is at, if it is at something.
  constructor(place, { zoomed, read }) {
    Object.assign(this, { place, zoomed, read });
    this.plot = new Plot(place, () => this.again());
    this.held = false;
    this.drawn = null;
  }

  again() { if (this.drawn !== null) this.draw(...this.drawn); }

  draw(found, chosen) {
    this.drawn = [found, chosen];
    const width = this.place.clientWidth;
    // What is being drawn with the pointer stays.
    if (!width || this.held) return;
    const isNarrow = width < NARROW;
    const seen = seenOf(found);
    const rows = rowsOf(found, seen);
    const below = GAP + LANE * rows.length;
    const bins = binsOf(found);
    const most = Math.max(1, ...bins.sent.map((sent, at) => sent + bins.skipped[at]));
    const agrees = bins.agreement.some((each) => each !== null);
    const bars = globalThis.uPlot.paths.bars({ size: [0.85, 60] });
    // The bars take the upper part of the plot, the lanes the lower one.
    const upper = (top) => [-top * below / BARS, top];
    this.plot.draw({
      height: BARS + below + AXIS + 6,
      padding: [6, agrees ? 0 : 8, 0, 0],
      scales: { x: { range: [found.since_us / 1e6, found.until_us / 1e6] }, y: { range: upper(most) }, share: { range: upper(1) } },
      axes: [
        axis({ size: AXIS, gap: 2, space: 80, values: (_, splits) => splits.map((each) => tick(1e6 * each, found.until_us - found.since_us)) }),
        axis({ size: isNarrow ? 76 : 130, splits: () => [0, most], values: (_, splits) => splits.map((each) => each.toLocaleString()) }),
        axis({ scale: "share", side: 1, size: 50, show: agrees, grid: { show: false }, splits: () => [0, 0.5, 1], values: (_, splits) => splits.map((each) => `${100 * each} %`) }),
      ],
      series: [
        {},
        { stroke: colour("--soft"), width: 1, paths: bars, points: { show: false } },
        { stroke: colour("--kind1"), fill: colour("--kind1"), width: 1, paths: bars, points: { show: false } },
        { scale: "share", stroke: colour("--ink"), width: 1.5, spanGaps: true, points: { show: true, size: 4, fill: colour("--ink") } },
        { stroke: colour("--ink"), paths: () => null, points: { show: true, size: 7, width: 1, fill: colour("--kind4") } },
      ],
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: 4 } },
      hooks: {
        ready: [(plot) => { this.drawLanes(plot, rows, found, chosen, isNarrow); this.hold(plot); }],
        setCursor: [({ cursor }) => this.read(cursor.left >= 0 ? wordsOf(found, bins, cursor.idx) : undefined)],
        setSelect: [(plot) => this.select(plot)],
      },
    }, [bins.at_s, bins.sent.map((sent, at) => sent + bins.skipped[at] || null), bins.sent.map((sent) => sent || null), bins.agreement,
      bins.audited.map((audited) => (audited ? -most * 9 / BARS : null))]);
    this.place.setAttribute("aria-label", summary(bins, seen));
  }

  hold(plot) {
    plot.over.addEventListener("mousedown", () => {
      this.held = true;
      addEventListener("mouseup", () => { this.held = false; setTimeout(() => this.again()); }, { once: true });
    });
  }

  select(plot) {
    const { left, width } = plot.select;
    if (width <= 0) return;
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.zoomed(1e6 * plot.posToVal(left, "x"), 1e6 * plot.posToVal(left + width, "x"));
  }

  drawLanes(plot, rows, found, chosen, isNarrow) {
    const { width, height } = plot;
    const side = plot.over.offsetLeft;
    const bottom = plot.over.offsetTop + plot.over.offsetHeight;
    const x = (us) => side + plot.valToPos(Math.max(found.since_us, Math.min(found.until_us, us)) / 1e6, "x");
    const most = isNarrow ? 11 : 19;
    const name = (y, text) => titled(make("text", { x: 0, y, class: "lane" }, text.length > most ? `${text.slice(0, most - 1)}…` : text), text);
    const parts = [name(plot.over.offsetTop + BARS / 2, "inputs")];
    rows.forEach(({ text, shapes }, at) => {
      const y = plot.over.offsetTop + BARS + GAP + at * LANE;
      parts.push(name(y + 13, text), ...shapes.map((shape) => shape(x, y, chosen)));
    });
    if (chosen) parts.push(make("line", { x1: x(chosen.input.at_us), x2: x(chosen.input.at_us), y1: 0, y2: bottom, class: "chosen" }));
    const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "lanes" });
    svg.append(...parts);
    plot.over.parentElement.append(svg);
  }
}

// All parts of a stretch, those with nothing in them, too.
function binsOf(found) {
  const count = Math.ceil((found.until_us - found.since_us) / found.bin_us);
  const zeros = () => new Array(count).fill(0);
  const bins = { at_s: zeros().map((_, at) => (found.since_us + (at + 0.5) * found.bin_us) / 1e6), sent: zeros(), skipped: zeros(), audited: zeros(), agreement: new Array(count).fill(null) };
  for (const [at, sent, skipped, audited, agreement] of found.bins) Object.entries({ sent, skipped, audited, agreement }).forEach(([key, value]) => { bins[key][at] = value; });
  return bins;
}

function wordsOf(found, bins, at) {
  const agreement = bins.agreement[at];
  return `${clock(found.since_us + at * found.bin_us)}: ${bins.sent[at].toLocaleString()} sent, ${bins.skipped[at].toLocaleString()} not sent, ${bins.audited[at].toLocaleString()} audited`
    + (agreement === null ? "" : `, ${percent(agreement)} agreement`);
}

function rowsOf(found, seen) {
  const spans = [["governor", found.level, "level"], ["camera", found.camera, "camera"]].filter(([, each]) => each.length);
  return [
    ...seen.map(([text, events]) => ({ text, shapes: events.map((event) => (x, y, chosen) => bar(event, x, y, found, chosen)) })),
    ...spans.map(([text, each, kind]) => ({ text, shapes: each.map((one) => (x, y) => {
      const from = x(one.since_us);
      return titled(make("rect", { x: from, y: y + 2, width: Math.max(2, x(one.until_us ?? found.until_us) - from), height: LANE - 6, class: kind }), `${text}: ${one.text}`);
    }) })),
    ...(found.notes.length ? [{ text: "notes", shapes: found.notes.map((note) => (x, y) => {
      const at = x(note.at_us);
      return titled(make("path", { d: `M${at - 5},${y + 14} L${at},${y + 4} L${at + 5},${y + 14} Z`, class: "notice" }), `${clock(note.at_us)}: ${note.text}`);
    }) }] : []),
  ];
}

function bar(event, x, y, found, chosen) {
  const from = x(event.start_us);
  const guessed = event.origin !== "executed" && event.origin !== "local";
  const isChosen = chosen?.event === event ? " picked" : "";
  const key = `${event.answer}-${event.model}-${event.what}`.replace(/[^\w-]/g, "_");
  const last = found.known[1] ?? found.until_us;
  const shape = make("rect", {
    key, x: from, y: y + 2, width: Math.max(3, x(event.end_us ?? last) - from), height: LANE - 6, rx: 3, class: `event kind${event.kind}${guessed ? " guessed" : ""}${isChosen}`,
  });
  return titled(shape, `${event.what}, ${event.model}, from ${clock(event.start_us)}`);
}

// Events by what is there, those that are seen most often first.
function seenOf(found) {
  const models = [...new Set(found.events.map((event) => event.model))].sort();
  const lanes = new Map();
  for (const event of found.events) {
    event.kind = models.indexOf(event.model) % 6;
    if (!lanes.has(event.what)) lanes.set(event.what, []);
    lanes.get(event.what).push(event);
  }
  return [...lanes].sort((one, other) => other[1].length - one[1].length).slice(0, MOST_LANES);
}

function summary(bins, seen) {
  const sum = (values) => values.reduce((all, each) => all + each, 0);
  const told = seen.map(([what, events]) => `${what} ${events.length} times`).join(", ");
  return `${sum(bins.sent)} inputs sent, ${sum(bins.skipped)} not sent, ${sum(bins.audited)} audited. ${told ? `Seen: ${told}.` : ""}`;
}
