// A stretch of a stream's time: which one is shown, what is known of it, and which event is looked at.
import { Chart } from "./chart.js";
import { Detail } from "./detail.js";
import { Exports } from "./exports.js";
import { element } from "./tile.js";
import { lasted, origins, span, time, trusts } from "./words.js";

const SPANS = [
  { name: "10 minutes", us: 600e6, everyMs: 2000 },
  { name: "Hour", us: 3600e6, everyMs: 4000 },
  { name: "Day", us: 86400e6, everyMs: 30000 },
  { name: "Week", us: 7 * 86400e6, everyMs: 120000 },
];

const SHORTEST_US = 10e6;
const WRITTEN_MS = 1000;

// A span that is none of those with a name.
function spanOf(us) {
  const length = Math.round(Math.max(SHORTEST_US, Math.min(SPANS.at(-1).us, us)));
  return SPANS.find((each) => each.us === length) ?? { us: length, everyMs: SPANS.find((each) => length <= each.us).everyMs };
}

export class Timeline {
  constructor(name) {
    this.name = name;
    this.path = name.split("/").map(encodeURIComponent).join("/");
    this.span = SPANS[1];
    this.untilUs = null;
    this.found = null;
    this.steps = [];
    this.chosen = "";
    this.askedMs = 0;
    this.waiting = null;
    this.detail = new Detail(name, this.path, (input) => this.look(input));
    this.exports = new Exports(this.path);
    for (const each of ["chart", "told", "read", "range", "state", "film", "events", "count", "spans"]) this[each] = document.getElementById(each);
    const read = (text = "Drag over the chart, or press +, to look closer.") => { if (this.read.textContent !== text) this.read.textContent = text; };
    this.drawing = new Chart(this.chart, { zoomed: (sinceUs, untilUs) => this.zoom(sinceUs, untilUs), read });
    this.buttons();
    this.events.addEventListener("keydown", (pressed) => this.pressed(pressed));
    this.chart.addEventListener("click", (click) => this.clicked(click));
    this.askTwice();
  }

  buttons() {
    this.spans.append(...SPANS.map((each) => {
      const button = element("button", { type: "button", class: "plain", text: each.name });
      button.addEventListener("click", () => { this.span = each; this.ask(); });
      return button;
    }));
    const move = (way) => this.showUntil((this.untilUs ?? Date.now() * 1000) + way * this.span.us / 2);
    // What is in the middle stays there, unless the present is shown: that stays.
    const scale = (factor) => {
      const before = this.span.us;
      this.span = spanOf(factor * before);
      this.showUntil(this.untilUs === null ? Date.now() * 1000 : this.untilUs + (this.span.us - before) / 2);
    };
    document.getElementById("earlier").addEventListener("click", () => move(-1));
    document.getElementById("later").addEventListener("click", () => move(1));
    document.getElementById("closer").addEventListener("click", () => scale(1 / 2));
    document.getElementById("wider").addEventListener("click", () => scale(2));
    document.getElementById("now").addEventListener("click", () => { this.untilUs = null; this.ask(); });
  }

  showUntil(untilUs) {
    const nowUs = Date.now() * 1000;
    this.untilUs = nowUs - untilUs < this.span.us / 20 ? null : untilUs;
    this.ask();
  }

  zoom(sinceUs, untilUs) {
    this.span = spanOf(untilUs - sinceUs);
    this.showUntil((sinceUs + untilUs + this.span.us) / 2);
  }

  // Something came: where the present is shown it is asked for, but not each time.
  changed() {
    if (this.untilUs !== null || this.waiting !== null) return;
    const dueMs = this.askedMs + this.span.everyMs - Date.now();
    this.waiting = setTimeout(() => { this.waiting = null; this.askTwice(); }, Math.max(dueMs, 0));
  }

  // What was answered is there at once, and its picture once that is written, which is twice a second.
  askTwice() {
    if (this.untilUs === null) this.ask();
    setTimeout(() => { if (this.untilUs === null && this.waiting === null) this.ask(); }, WRITTEN_MS);
  }

  async ask() {
    this.askedMs = Date.now();
    for (const [at, button] of [...this.spans.children].entries()) button.setAttribute("aria-pressed", String(SPANS[at] === this.span));
    document.getElementById("now").setAttribute("aria-pressed", String(this.untilUs === null));
    document.getElementById("later").disabled = this.untilUs === null;
    const untilUs = Math.round(this.untilUs ?? Date.now() * 1000 + 1e6);
    const query = new URLSearchParams({ since_us: untilUs - this.span.us, until_us: untilUs });
    const asked = this.asked = String(query);
    let answer = null;
    try {
      const response = await fetch(`/timeline/${this.path}?${query}`);
      answer = await response.json();
      if (!response.ok) throw new Error(answer.error);
    } catch (error) {
      this.told.textContent = answer?.error ?? "The coordinator does not answer.";
      return;
    }
    if (asked !== this.asked) return;
    this.found = answer;
    this.exports.of(answer);
    this.steps = stepsOf(answer);
    this.draw();
  }

  draw() {
    if (!this.found) return;
    const { found } = this;
    this.range.textContent = span(found.since_us, found.until_us);
    this.tell();
    this.state.textContent = stateOf(found);
    this.drawing.draw(found, this.steps.find((each) => each.key === this.chosen) ?? null);
    this.drawFilm();
    this.drawEvents();
  }

  tell() {
    const { found } = this;
    const [first, last] = found.known;
    const sent = found.bins.reduce((sum, bin) => sum + bin[1], 0);
    const lines = [];
    if (last === null) lines.push("Nothing of this stream is known yet.");
    else if (!sent) lines.push(`Nothing was sent in this time. What is known of it is from ${time(first)} to ${time(last)}.`);
    if (found.trouble) lines.push(`Pictures can't be kept now: ${found.trouble}.`);
    else if (sent && found.oldest_picture_us === null) lines.push("No pictures of this stream are kept.");
    else if (found.oldest_picture_us > found.since_us && first < found.oldest_picture_us - 1e6) lines.push(`Pictures are kept since ${time(found.oldest_picture_us)}.`);
    const text = lines.join(" ");
    if (this.told.textContent !== text) this.told.textContent = text;
    if (!sent && last !== null && last < found.since_us) {
      const button = element("button", { type: "button", class: "plain", text: "Go there" });
      button.addEventListener("click", () => { this.untilUs = last + this.span.us / 20; this.ask(); });
      this.told.append(" ", button);
    }
  }

  drawFilm() {
    const keys = this.found.pictures.map((each) => each.number).join();
    if (keys === this.filmed) return;
    this.filmed = keys;
    const had = new Map([...this.film.children].map((item) => [item.dataset.number, item]));
    this.film.replaceChildren(...this.found.pictures.map((each) => had.get(String(each.number)) ?? this.still(each)));
    this.film.scrollLeft = this.film.scrollWidth;
  }

  still(each) {
    const text = time(each.at_us);
    const image = element("img", { src: `/sent/${this.path}?number=${each.number}&width=320`, alt: `Picture of ${text}`, loading: "lazy", decoding: "async" });
    const button = element("button", { type: "button", class: "still" }, image, element("span", { text: each.audited ? `${text} · audited` : text }));
    button.addEventListener("click", () => this.look(each));
    const item = element("li", {}, button);
    item.dataset.number = each.number;
    return item;
  }

  drawEvents() {
    const { found, steps } = this;
    const isEvents = found.events.length > 0;
    this.count.textContent = isEvents ? `${found.more ? "the newest " : ""}${steps.length} in this time` : "";
    const there = new Map([...this.events.children].map((item) => [item.id, item]));
    this.events.replaceChildren(...steps.map((step) => {
      const id = `step-${step.key}`;
      const item = there.get(id) ?? element("li", { id, role: "option" });
      const told = step.words.join("\n");
      if (item.dataset.told !== told) {
        item.dataset.told = told;
        item.replaceChildren(...step.words.map((text, at) => element("span", { class: ["what", "when", "how"][at], text })));
        item.onclick = () => this.choose(step);
      }
      item.setAttribute("aria-selected", String(step.key === this.chosen));
      return item;
    }));
    if (!steps.length) this.events.replaceChildren(element("li", { class: "none", text: "No model said of anything that it is there." }));
    if (this.chosen && this.steps.some((each) => each.key === this.chosen)) this.events.setAttribute("aria-activedescendant", `step-${this.chosen}`);
    else this.events.removeAttribute("aria-activedescendant");
  }

  choose(step) {
    this.chosen = step.key;
    this.draw();
    document.getElementById(`step-${step.key}`)?.scrollIntoView({ block: "nearest" });
    this.detail.show(step);
  }

  look(input) {
    this.chosen = "";
    this.draw();
    this.detail.show({ input, title: `Picture of ${time(input.at_us)}`, words: [] });
  }

  pressed(pressed) {
    const at = this.steps.findIndex((each) => each.key === this.chosen);
    const ways = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: this.steps.length - 1 };
    if (!(pressed.key in ways) || !this.steps.length) return;
    pressed.preventDefault();
    this.choose(this.steps[Math.max(0, Math.min(this.steps.length - 1, at < 0 ? 0 : ways[pressed.key]))]);
  }

  clicked(click) {
    const key = click.target.dataset?.key;
    const step = this.steps.find((each) => each.key === key);
    if (step) this.choose(step);
  }
}

// What can be stepped through, the newest first: events, or where there are none the pictures.
function stepsOf(found) {
  const untilUs = Math.min(found.until_us, Math.max(found.known[1] ?? 0, found.since_us));
  const events = found.events.map((event) => ({
    key: `${event.answer}-${event.model}-${event.what}`.replace(/[^\w-]/g, "_"),
    event,
    untilUs: event.end_us ?? untilUs,
    input: { session: event.session, sequence: event.sequence, at_us: event.start_us },
    title: event.what,
    words: [event.what, whenOf(event, untilUs), howOf(event)],
  }));
  if (events.length) return events.reverse();
  return found.pictures.map((each) => ({
    key: `picture-${each.number}`, input: each, title: `Picture of ${time(each.at_us)}`, words: [time(each.at_us), "a picture was sent", each.audited ? "drawn by the device's audit" : ""],
  })).reverse();
}

function whenOf(event, untilUs) {
  const from = event.began_before ? `since before ${time(event.start_us)}` : time(event.start_us);
  const to = event.end_us === null ? "still" : time(event.end_us);
  return `${from} – ${to} · ${lasted((event.end_us ?? untilUs) - event.start_us)}`;
}

function howOf(event) {
  const parts = [`${event.model}: ${origins[event.origin] ?? event.origin}`, trusts[event.trust] ?? event.trust];
  if (event.began_before) parts.push("");
  else parts.push(event.delay_s == null ? "delay not known" : `known ${event.delay_s.toFixed(2)} s after its capture`);
  if (event.agreement !== null) parts.push(`${Math.round(100 * event.agreement)} % agreement in ${event.audits} ${event.audits === 1 ? "audit" : "audits"}`);
  return parts.filter(Boolean).join(" · ");
}

function stateOf(found) {
  const said = (spans, calm) => {
    const open = spans.at(-1);
    return open && open.until_us === null ? open.text : calm;
  };
  return `Governor: ${said(found.level, "leaves out nothing")}. Camera: ${said(found.camera, "sees what it saw")}.`;
}
