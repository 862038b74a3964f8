// What a filter with a stem that holds the last answer is fed: filters/gates/held_feed.py.
import { Channels, SCALARS } from "./channels.js";
import { SmallPicture } from "./small_picture.js";

export class HeldFeed {
  constructor({ stem, compared, step_s: stepS }, { run }) {
    this.run = run;
    this.compared = compared;
    this.channels = new Channels({ pairwise: true, stepS });
    this.picture = new SmallPicture(stem.size);
    const length = Object.values(compared).reduce((sum, { columns }) => sum + columns.length, 0);
    this.said = new Float32Array(length);
    this.saidThen = new Float32Array(length);
    this.answer = new Float32Array(length);
    this.keptCount = 0;
    this.values = {
      picture: this.picture.input,
      scalars: { data: this.channels.scalars, dims: [1, SCALARS] },
      said_then: { data: this.saidThen, dims: [1, length] },
      answer: { data: this.answer, dims: [1, length] },
    };
  }

  // The graph's scores of the next frame.
  async scores(pixels, step, width, height, capturedS) {
    this.channels.see(pixels, step, width, height, capturedS);
    this.picture.see(pixels, step, width, height);
    const { score, carried, said } = await this.run(this.values);
    this.said.set(said);
    this.channels.carry(carried[0]);
    return score;
  }

  // Notes that the frame last seen is kept. What it gives takes the models' own outputs for it, as numbers by model;
  // until then what the head said of it stands in.
  kept() {
    this.channels.kept();
    this.saidThen.set(this.said);
    this.answer.set(this.said);
    this.keptCount += 1;
    const count = this.keptCount;
    return (outputs) => { if (count === this.keptCount) this.learn(outputs); };
  }

  reset() {
    this.channels.reset();
    this.keptCount += 1;
  }

  learn(outputs) {
    if (!Object.keys(this.compared).every((model) => model in outputs)) return;
    const numbers = Object.entries(this.compared).flatMap(([model, { columns, ...output }]) => {
      const all = outputNumbers(output, outputs[model]);
      return columns.map((column) => all[column]);
    });
    if (numbers.every(Number.isFinite)) this.answer.set(numbers);
  }
}

// An output as numbers that a head can read off a picture: boxes are counted, by class.
function outputNumbers({ kind, classes }, values) {
  if (kind !== "boxes") return values;
  const counts = new Float32Array(classes);
  for (let at = 5; at < values.length; at += 6) counts[values[at]] += 1;
  return counts;
}
