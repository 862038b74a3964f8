// Learns a filter at the level of the dial, puts it beside the one at work, and says how devices get it.
import { call } from "./tuner_ask.js";
import { element } from "./tile.js";
import { fillShots, seconds } from "./tuner_shots.js";
import { bytes, percent } from "./words.js";

const at = (id) => document.getElementById(id);

export class Maker {
  constructor({ recording, filters, may, free }, done) {
    Object.assign(this, { recording, may, done });
    this.judged = () => {};
    at("new-name").value = free;
    this.offer(filters);
    at("make").addEventListener("submit", (event) => { event.preventDefault(); this.make(); });
    at("compare").addEventListener("click", () => this.compare());
  }

  offer(filters) {
    this.filters = filters;
    const kept = at("beside").value;
    at("beside").replaceChildren(element("option", { value: "", text: "none" }), ...filters.map((each) => element("option", { value: each.name, text: each.name })));
    at("beside").value = filters.some((each) => each.name === kept) ? kept : "";
  }

  // What the dial stands at; without a question whose answer is shown nothing can be made.
  stand(question, level, point) {
    this.question = question;
    this.level = level;
    const file = question.filter !== "";
    at("make-block").hidden = file;
    at("make-go").textContent = `Learn it at ${percent(level.asked).replace(".0", "")}`;
    at("make-go").disabled = !this.may || point === null;
    at("uncertified-label").hidden = level.certified || point === null;
  }

  async make() {
    const { recording, model, rule, aim, within_s, networks } = this.question;
    const question = {
      do: "make", recording, model, rule, aim, within_s, networks,
      asked: this.level.asked, name: at("new-name").value, beside: at("beside").value,
      uncertified: !this.level.certified && at("uncertified").checked,
    };
    const found = await this.done(question, "make-wrong");
    if (found === null) return;
    at("made").textContent = `${found.made.name} is written (${bytes(found.made.size_bytes)}): learnt from ${found.made.trained.toLocaleString()} inputs, ` +
      `certified on the ${found.made.calibrated.toLocaleString()} that follow, in ${found.made.seconds} s.`;
    this.show(found);
    const name = found.made.name.replace(/(?:-(\d+))?\.onnx$/, (_, number) => `-${Number(number ?? 0) + 1}.onnx`);
    at("new-name").value = name;
  }

  async compare() {
    const name = at("beside").value;
    if (name === "") { at("make-wrong").textContent = "Choose the filter at work first."; return; }
    const found = await this.done({ do: "compare", recording: this.recording.name, filters: [name] }, "make-wrong");
    if (found !== null) { at("made").textContent = ""; this.show(found); }
  }

  show(found) {
    at("sides-block").hidden = false;
    const { sides } = found;
    this.judged(sides);
    const rows = [
      ["what it is", (side) => `${side.kind}, asked for ${side.asked[0]} ${percent(side.asked[1])}`],
      ["proof", (side) => side.certified ? `certified: ${side.proof}` : `not certified (${side.proof})`],
      ["sent", (side) => `${percent(side.sent)} of ${found.judged.toLocaleString()} inputs`],
      ["events found", (side) => `${side.found} of ${side.events}`],
      ["delay, middle and 95 %", (side) => side.events ? `${seconds(side.p50_s)}, ${seconds(side.p95_s)}` : "–"],
      ["agreement", (side) => percent(side.accuracy)],
      ["stated and not there", (side) => `${side.false_minutes.toFixed(0)} min a day`],
      ["bytes", (side) => `${bytes(side.size_bytes)} of ${bytes(found.judged_bytes)}`],
      ["its promises here", (side) => [side.contract, ...side.promises].join("; ")],
      ["free gates ahead of it", (side) => side.ahead.join(", ") || "none"],
      ["warnings", (side) => side.warnings.join("; ") || "none"],
    ];
    at("sides-head").replaceChildren(element("tr", {}, element("td"), ...sides.map((side) => element("th", { text: side.name, scope: "col" }))));
    at("sides").replaceChildren(...rows.map(([name, tell]) =>
      element("tr", {}, element("th", { text: name, scope: "row" }), ...sides.map((side) => element("td", { text: tell(side) })))));
    this.drawDifferences(found);
    at("rollout").replaceChildren(...sides.map((side) => this.rollout(side)));
  }

  drawDifferences({ sides, events }) {
    const [first, second] = sides;
    at("differences-title").textContent = second ? `Where they differ` : "";
    const noted = second ? events.map((event, place) => [event, first.late_s[place], second.late_s[place]])
      .filter(([, one, other]) => (one === null) !== (other === null))
      .map(([event, one]) => [event, one === null ? `${second.name} alone finds it` : `${first.name} alone finds it`]) : [];
    fillShots(at("differences"), this.recording, noted);
    if (second && noted.length === 0) at("differences").append(element("p", { text: "Both find and miss the same events." }));
  }

  rollout(side) {
    const known = this.filters.find((each) => each.name === side.name);
    return element("div", { class: "block" },
      element("h3", {}, element("a", { href: `/tuner/filter/${side.name}`, download: side.name, text: `Download ${side.name}` })),
      element("p", { class: "hint", text: `SHA-256 ${known?.digest ?? ""}` }),
      ...(this.may ? [element("p", {}, element("a", { href: `/fleet/filter?file=${encodeURIComponent(side.name)}`, text: `Roll out ${side.name}` }))] : []));
  }
}
