// The dial: what is chosen at the level that it stands at, and what that sends, finds and misses.
import { element } from "./tile.js";
import { Curve } from "./tuner_curve.js";
import { duration, fillInputs, fillShots, seconds } from "./tuner_shots.js";
import { bytes, percent } from "./words.js";

const DAY_S = 86400;
const at = (id) => document.getElementById(id);

// What people have corrected in what was just learnt and judged.
function counted({ corrected, added }) {
  return [
    ...(corrected ? [`${corrected} answers that somebody called wrong counted as if the model had not said that.`] : []),
    ...(added ? [`${added} ${added === 1 ? "time" : "times"} that somebody saw what no model did counted as if the model had said so, surely.`] : []),
  ];
}

export class Dial {
  constructor(recording, marks) {
    this.recording = recording;
    this.marks = marks;
    this.found = null;
    this.drawn = null;
    this.moved = () => {};
    this.curve = new Curve((place) => this.move(place));
    at("slider").addEventListener("input", () => this.draw());
  }

  get level() { return this.found.levels[Number(at("slider").value)]; }

  // To the highest level at which this of the points is chosen.
  move(place) {
    at("slider").value = this.found.levels.findLastIndex((level) => level.point === place);
    this.draw();
  }

  show(found) {
    const kept = this.found === null ? null : this.level.asked;
    this.found = found;
    this.marks.offer(found);
    const slider = at("slider");
    slider.max = found.levels.length - 1;
    const wanted = kept ?? (found.aim === "events" ? 0.9 : 0.95);
    slider.value = found.levels.findIndex((level) => level.asked >= wanted - 1e-9);
    at("slider-label").textContent = found.aim === "events" ? "Least share of the events to find" : "Least agreement with the model";
    at("warnings").replaceChildren(...found.warnings.map((text) => element("li", { text })));
    at("how").replaceChildren(...[...found.how, ...counted(found)].map((text) => element("li", { text })));
    at("result").hidden = false;
    this.curve.show(found);
    this.draw(true);
  }

  draw(anew = false) {
    const level = this.level;
    const text = percent(level.asked).replace(".0", "");
    at("asked").textContent = text;
    at("slider").setAttribute("aria-valuetext", text);
    const point = level.point === null ? null : this.found.points[level.point];
    this.drawProof(level, point);
    this.moved(level, point);
    this.curve.stand(point);
    // Many levels choose the same gate: its pictures stay.
    if (!anew && point !== null && point === this.drawn) return;
    this.drawn = point;
    for (const id of ["figures", "baselines-head", "baselines", "missed", "found", "skipped", "in-vain"]) at(id).replaceChildren();
    at("ahead").textContent = "";
    if (point === null) {
      at("missed-title").textContent = "Nothing can be chosen here";
      at("found-title").textContent = "Found";
      at("skipped-title").textContent = "Not sent";
      at("in-vain-title").textContent = "Sent, and nothing was seen";
      return;
    }
    this.drawFigures(point);
    this.drawBaselines(point);
    this.drawEvents(point);
  }

  drawProof(level, point) {
    const verdict = at("verdict");
    const gauge = at("gauge");
    gauge.replaceChildren();
    verdict.classList.toggle("bad", !level.certified);
    if (point === null) {
      verdict.textContent = "nothing can be chosen at this level";
      at("proof").textContent = level.why;
      gauge.removeAttribute("aria-label");
      return;
    }
    const what = this.found.aim === "events" ? "of the events found" : "agreement";
    verdict.textContent = level.certified
      ? `certified: at least ${percent(level.promised)} ${what}, with ${percent(level.confidence)} confidence`
      : `not certified at this level${level.more ? `: some ${level.more.toLocaleString()} more ${level.unit} would probably do` : ""}`;
    const measured = level.runs
      ? `measured ${percent(level.measured)} on the ${level.inputs.toLocaleString()} inputs that chose, worth ${level.runs.toFixed(0)} independent ` +
        `${level.unit}, ${level.lost.toFixed(1)} of them lost`
      : `no ${level.unit} to measure by on the ${level.inputs.toLocaleString()} inputs that chose`;
    at("proof").textContent = `${measured}; proven is at least ${percent(level.promised)} (${level.method}); sent there ${percent(level.sent)} ` +
      `(95 % interval ${percent(level.sent_interval[0])} to ${percent(level.sent_interval[1])})`;
    const least = 0.4;
    const place = (value) => `${100 * Math.max(0, Math.min(1, (value - least) / (1 - least)))}%`;
    const span = element("span", { class: "span" });
    span.style.left = place(level.promised);
    span.style.right = "0";
    const asked = element("span", { class: "promised" });
    asked.style.left = place(level.asked);
    const dot = element("span", { class: "measured" });
    dot.style.left = place(level.measured);
    gauge.append(span, asked, dot);
    gauge.setAttribute("aria-label", `asked ${percent(level.asked)}, proven at least ${percent(level.promised)}, measured ${percent(level.measured)}`);
  }

  drawFigures(point) {
    const { judged, judged_bytes: whole, judged_s: length } = this.found;
    const sent = Math.round(point.sent * judged);
    const daily = length > 0 ? `, ${bytes(point.size_bytes / length * DAY_S)} a day at this pace` : "";
    const rows = [
      ["sent", `${percent(point.sent)}`, `${sent.toLocaleString()} of ${judged.toLocaleString()} inputs in ${duration(length)}`],
      ["events found", `${point.found} of ${point.events}`, point.recall === null ? "there is none in the judged part" : `${percent(point.recall)}; 95 % interval ${percent(point.interval[0])} to ${percent(point.interval[1])}`],
      ["events missed", String(point.events - point.found), "on the judged part"],
      ["delay", point.events ? seconds(point.p50_s) : "–", point.events ? `the middle one; 95 %: ${seconds(point.p95_s)}` : ""],
      this.found.aim === "events"
        ? ["stated and not there", `${point.false_minutes.toFixed(0)} min`, "a day"]
        : ["agreement", percent(point.accuracy), "with the model, over all inputs"],
      ["bytes", bytes(point.size_bytes), `of ${bytes(whole)}${daily}`],
      ["gate", point.gate, `threshold ${point.threshold.toPrecision(4)}`],
    ];
    at("figures").replaceChildren(...rows.map(([name, value, more]) =>
      element("div", {}, element("dt", { text: name }), element("dd", { text: value }), element("dd", { class: "hint", text: more }))));
  }

  drawBaselines(point) {
    const names = ["gate", "sent", "found", "agreement", "delay, middle", "delay, 95 %", "false min a day", "where its threshold is from"];
    at("baselines-head").replaceChildren(element("tr", {}, ...names.map((text, column) => element("th", { text, scope: "col", class: column && column < 7 ? "number" : "" }))));
    const row = (name, each, note, kind) => element("tr", { class: kind },
      element("td", { text: name }),
      ...[percent(each.sent), `${each.found} of ${each.events}`, percent(each.accuracy), each.events ? seconds(each.p50_s) : "–",
        each.events ? seconds(each.p95_s) : "–", each.false_minutes.toFixed(0)].map((text) => element("td", { class: "number", text })),
      element("td", { text: note }));
    at("baselines").replaceChildren(
      row(point.gate, point, "chosen on the part before", "ours"),
      ...point.baselines.map((each) => row(each.name, each, each.note, point.ahead.includes(each.name) ? "ahead" : "")));
    at("ahead").textContent = point.ahead.length
      ? `${point.ahead.join(" and ")} ${point.ahead.length === 1 ? "costs nothing and is" : "cost nothing and are"} ahead of the filter here.`
      : "None of what costs nothing is ahead of the filter here.";
  }

  drawEvents(point) {
    const { events } = this.found;
    const missed = events.filter((_, place) => point.late_s[place] === null);
    const found = events.map((event, place) => [event, point.late_s[place]]).filter(([, late]) => late !== null);
    at("missed-title").textContent = events.length ? `Missed: ${missed.length} of ${events.length}` : "There is no event in the judged part";
    at("found-title").textContent = `Found: ${found.length}`;
    fillShots(at("missed"), this.recording, missed.map((event) => [event, "missed"]), this.marks);
    fillShots(at("found"), this.recording, found.map(([event, late]) => [event, `found after ${seconds(late)}`]), this.marks);
    at("skipped-title").textContent = `Not sent: ${point.skipped.length} of them`;
    at("in-vain-title").textContent = `Sent, and nothing was seen: ${point.in_vain.length} of them`;
    fillInputs(at("skipped"), this.recording, point.skipped, "was not sent", this.marks);
    fillInputs(at("in-vain"), this.recording, point.in_vain, "was sent", this.marks);
  }
}
