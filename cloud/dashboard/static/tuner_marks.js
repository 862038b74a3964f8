// Answers that somebody corrects: what was not there, or was there unsaid, counts in what is learnt and judged from then on.
import { call } from "./tuner_ask.js";
import { element } from "./tile.js";
import { fillMarks } from "./tuner_shots.js";

const at = (id) => document.getElementById(id);

export class Marks {
  constructor({ recording, marks, may }, changed) {
    Object.assign(this, { recording, marks, may, changed });
    this.models = [];
    this.sayable = [];
    for (const id of ["say-what", "say-around"]) at(id).addEventListener("change", () => this.changed());
  }

  // Offers what can be said to have been there unsaid, by the rule that was asked about.
  offer(found) {
    this.models = found.models;
    this.offered(found.sayable);
  }

  // The same of a model, before anything is asked of it.
  offerModel(name) {
    const { kind, classes } = this.recording.models[name];
    const mute = kind === "scalar" || kind === "vector";
    this.offered([{ model: name, kind, what: mute ? [] : classes.length ? classes : ["something"] }]);
  }

  // Says why, where nothing can be said.
  offered(sayable) {
    const { pictures, models } = this.recording;
    this.sayable = pictures ? sayable.flatMap(({ model, what }) => what.map((each) => ({ model, what: each }))) : [];
    const names = this.sayable.map(({ model, what }) => (Object.keys(models).length > 1 ? `${model}: ${what}` : what));
    const kept = names.indexOf(at("say-what").selectedOptions[0]?.text);
    at("say-what").replaceChildren(...names.map((text, place) => element("option", { value: String(place), text })));
    at("say-what").selectedIndex = Math.max(0, kept);
    at("say-fields").hidden = this.sayable.length === 0;
    at("say-why").textContent = !pictures
      ? "Nothing can be marked as missed here, as the inputs of this recording are no pictures that you could look at."
      : sayable.filter(({ what }) => what.length === 0)
        .map(({ model, kind }) => `${model} gives a ${kind}: what a picture shows does not tell which ${kind} is right, so nothing of it can be marked as missed.`).join(" ");
  }

  // What is said to have been there where somebody presses “Missed”; null: nothing can be.
  get said() { return this.sayable[at("say-what").selectedIndex] ?? null; }

  // Who says already that it was there.
  at(index) {
    const { model, what } = this.said;
    return this.marks.find((each) => each.there && each.model === model && each.what === what && each.first <= index && index <= each.last) ?? null;
  }

  // Whose answers an event is made of, and what of them, as the recording knows it.
  named(event) {
    const [model, ...rest] = event.what.split(": ");
    return this.models.length === 1 ? [this.models[0], event.what] : [model, rest.join(": ")];
  }

  is(event) {
    const [model, what] = this.named(event);
    return this.marks.some((each) => !each.there && each.model === model && each.what === what && each.first === event.first && each.last === event.last);
  }

  change(event, wrong) {
    const [model, what] = this.named(event);
    return this.note({ model, what, first: event.first, last: event.last, wrong });
  }

  say(index) { return this.note({ ...this.said, first: index, last: index, around_s: Number(at("say-around").value), there: true }); }

  takeBack(mark) { return this.note({ ...mark, wrong: false }); }

  async note(marking) {
    at("mark-wrong").textContent = "";
    try {
      ({ marks: this.marks } = await call("/tuner/mark", { recording: this.recording.name, ...marking }));
    } catch (error) {
      at("mark-wrong").textContent = error.message;
    }
    this.changed();
  }

  draw() {
    const count = this.marks.length;
    at("marks").textContent = count ? `${count} ${count === 1 ? "answer is" : "answers are"} corrected. That counts in what is learnt and in what is judged, from the next ` +
      "time that you press Show or have a filter learnt." : "";
    at("marks-block").hidden = count === 0;
    fillMarks(at("marked"), this.recording, this);
  }
}
