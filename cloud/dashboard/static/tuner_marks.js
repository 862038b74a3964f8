// Answers that somebody calls wrong: they count in what is learnt and judged from then on.
import { call } from "./tuner_ask.js";

export class Marks {
  constructor({ recording, marks, may }, changed) {
    Object.assign(this, { recording, marks, may, changed });
    this.models = [];
    this.told = "";
  }

  // Whose answers an event is made of, and what of them, as the recording knows it.
  named(event) {
    const [model, ...rest] = event.what.split(": ");
    return this.models.length === 1 ? [this.models[0], event.what] : [model, rest.join(": ")];
  }

  is(event) {
    const [model, what] = this.named(event);
    return this.marks.some((each) => each.model === model && each.what === what && each.first === event.first && each.last === event.last);
  }

  async change(event, wrong) {
    const [model, what] = this.named(event);
    try {
      ({ marks: this.marks } = await call("/tuner/mark", { recording: this.recording.name, model, what, first: event.first, last: event.last, wrong }));
      this.told = "";
    } catch (error) {
      this.told = error.message;
    }
    this.changed(this);
  }

  text() {
    if (!this.marks.length) return "";
    return `${this.marks.length} ${this.marks.length === 1 ? "answer is" : "answers are"} taken as wrong. Such an answer counts as if the model had not said that, in what is ` +
      "learnt and in what is judged, from the next time that you press Show or have a filter learnt.";
  }
}
