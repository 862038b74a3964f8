// The chart of a stretch of time: what was sent and what was not, audits, events, the governor, the camera.
import { clock, tick } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const BARS = 64;
const LANE = 20;
const MOST_LANES = 10;

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

export function drawChart(place, found, chosen) {
  const width = place.clientWidth;
  if (!width) return;
  const side = width < 600 ? 76 : 130;
  const scale = (width - side - 8) / (found.until_us - found.since_us);
  const x = (us) => side + scale * (Math.max(found.since_us, Math.min(found.until_us, us)) - found.since_us);
  const parts = [];
  const name = (y, text) => {
    const most = width < 600 ? 11 : 19;
    parts.push(titled(make("text", { x: 0, y, class: "lane" }, text.length > most ? `${text.slice(0, most - 1)}…` : text), text));
  };
  drawBars(parts, found, x);
  name(BARS / 2, "inputs");
  let y = BARS + 14;
  const lanes = lanesOf(found);
  for (const [text, events] of lanes) {
    name(y + 12, text);
    for (const event of events) parts.push(bar(event, x, y, found, chosen));
    y += LANE;
  }
  for (const [text, spans, kind] of [["governor", found.level, "level"], ["camera", found.camera, "camera"]]) {
    if (!spans.length) continue;
    name(y + 12, text);
    for (const each of spans) {
      const from = x(each.since_us);
      parts.push(titled(make("rect", { x: from, y: y + 2, width: Math.max(2, x(each.until_us ?? found.until_us) - from), height: LANE - 6, class: kind }), `${text}: ${each.text}`));
    }
    y += LANE;
  }
  if (found.notes.length) {
    name(y + 12, "notes");
    for (const note of found.notes) {
      const at = x(note.at_us);
      parts.push(titled(make("path", { d: `M${at - 5},${y + 14} L${at},${y + 4} L${at + 5},${y + 14} Z`, class: "notice" }), `${clock(note.at_us)}: ${note.text}`));
    }
    y += LANE;
  }
  for (const us of ticks(found, width < 600 ? 3 : 6)) {
    parts.unshift(make("line", { x1: x(us), x2: x(us), y1: 0, y2: y, class: "grid" }));
    parts.push(make("text", { x: Math.min(x(us), width - 22), y: y + 14, class: "tick" }, tick(us, found.until_us - found.since_us)));
  }
  if (chosen) parts.push(make("line", { x1: x(chosen.input.at_us), x2: x(chosen.input.at_us), y1: 0, y2: y, class: "chosen" }));
  const svg = make("svg", { width, height: y + 22, viewBox: `0 0 ${width} ${y + 22}` });
  svg.append(...parts);
  place.replaceChildren(svg);
  place.setAttribute("aria-label", words(found, lanes));
}

function drawBars(parts, found, x) {
  const most = Math.max(1, ...found.bins.map(([, sent, skipped]) => sent + skipped));
  for (const [at, sent, skipped, audited, agreement] of found.bins) {
    const from = x(found.since_us + at * found.bin_us);
    const width = Math.max(1.5, x(found.since_us + (at + 1) * found.bin_us) - from - 1);
    const high = (BARS * sent) / most;
    const over = (BARS * skipped) / most;
    const text = `${clock(found.since_us + at * found.bin_us)}: ${sent} sent, ${skipped} not sent, ${audited} audited`
      + (agreement === null ? "" : `, ${Math.round(100 * agreement)} % agreement`);
    if (skipped) parts.push(titled(make("rect", { x: from, y: BARS - high - over, width, height: over, class: "skipped" }), text));
    if (sent) parts.push(titled(make("rect", { x: from, y: BARS - Math.max(high, 2), width, height: Math.max(high, 2), class: "sent" }), text));
    if (audited) parts.push(titled(make("circle", { cx: from + width / 2, cy: BARS + 6, r: 3, class: "audited" }), text));
  }
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
function lanesOf(found) {
  const models = [...new Set(found.events.map((event) => event.model))].sort();
  const lanes = new Map();
  for (const event of found.events) {
    event.kind = models.indexOf(event.model) % 6;
    if (!lanes.has(event.what)) lanes.set(event.what, []);
    lanes.get(event.what).push(event);
  }
  return [...lanes].sort((one, other) => other[1].length - one[1].length).slice(0, MOST_LANES);
}

function ticks(found, most) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880].map((minutes) => minutes * 60e6);
  const step = steps.find((each) => (found.until_us - found.since_us) / each <= most) ?? steps.at(-1);
  const zoneUs = new Date(found.since_us / 1000).getTimezoneOffset() * 60e6;
  const made = [];
  for (let us = Math.ceil((found.since_us - zoneUs) / step) * step + zoneUs; us < found.until_us; us += step) made.push(us);
  return made;
}

function words(found, lanes) {
  const sum = (at) => found.bins.reduce((all, bin) => all + bin[at], 0);
  const seen = lanes.map(([what, events]) => `${what} ${events.length} times`).join(", ");
  return `${sum(1)} inputs sent, ${sum(2)} not sent, ${sum(3)} audited. ${seen ? `Seen: ${seen}.` : ""}`;
}
