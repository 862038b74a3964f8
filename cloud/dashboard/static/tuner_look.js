// Looks through a recording, a dozen inputs at a time: what no model saw is nowhere else to be found.
import { fillInputs } from "./tuner_shots.js";

const SHOWN = 12;
const COUNTED = 8000; // as `MOST_INPUTS` of judged_part.py
const at = (id) => document.getElementById(id);

export class Look {
  constructor({ recording }, marks) {
    Object.assign(this, { recording, marks });
    const place = at("look-at");
    place.min = Math.max(0, recording.inputs - COUNTED);
    place.max = recording.inputs - 1;
    place.value = place.min;
    for (const id of ["look-at", "look-step"]) at(id).addEventListener("change", () => this.draw());
    at("look-block").addEventListener("toggle", () => this.draw());
    at("look-earlier").addEventListener("click", () => this.move(-SHOWN));
    at("look-later").addEventListener("click", () => this.move(SHOWN));
  }

  get step() { return Number(at("look-step").value); }

  move(by) {
    at("look-at").value = Number(at("look-at").value) + by * this.step;
    this.draw();
  }

  // Only what is looked at is fetched.
  draw() {
    if (!at("look-block").open) return;
    const first = Number(at("look-at").value);
    const indices = Array.from({ length: SHOWN }, (_, place) => first + place * this.step).filter((index) => index < this.recording.inputs);
    at("look-told").textContent = `input ${first.toLocaleString()} of ${this.recording.inputs.toLocaleString()}`;
    fillInputs(at("looked"), this.recording, indices, "", this.marks);
  }
}
