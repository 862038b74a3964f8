// What a filter with a stem is fed, and carries from frame to frame: filters/gates/stem_feed.py.
import { SmallPicture } from "./small_picture.js";

const LEAST_AGE_S = 1e-3;

export class StemFeed {
  constructor({ stem }, { inputs, run }) {
    this.run = run;
    this.picture = new SmallPicture(stem.size);
    this.before = new Float32Array(stem.length);
    this.age = new Float32Array(1);
    this.least = new Float32Array(inputs.least?.[1] ?? 0).fill(1);
    this.features = this.there = null;
    this.capturedS = 0;
    this.keptS = -Infinity;
    this.values = {
      picture: this.picture.input,
      kept: { data: this.before, dims: [1, this.before.length] },
      age: { data: this.age, dims: [1, 1] },
      least: { data: this.least, dims: [1, this.least.length] },
    };
  }

  // The graph's scores of the next frame.
  async scores(pixels, step, width, height, capturedS) {
    this.capturedS = capturedS;
    this.age[0] = Math.log(Number.isFinite(this.keptS) ? Math.max(capturedS - this.keptS, LEAST_AGE_S) : LEAST_AGE_S);
    this.picture.see(pixels, step, width, height);
    const { score, features, there } = await this.run(this.values);
    this.features = features;
    if (there) {
      this.there = there;
      for (let at = 0; at < there.length; at += 1) this.least[at] = Math.min(this.least[at], there[at]);
    }
    return score;
  }

  // Notes that the frame last seen is kept; it learns nothing from the answers.
  kept() {
    if (this.features) {
      this.before.set(this.features);
      this.keptS = this.capturedS;
    }
    if (this.there) this.least.set(this.there);
    return null;
  }

  reset() {
    this.keptS = -Infinity;
  }
}
