// What a filter that looks at each picture by itself is fed: `prepare` of filters/modalities/image.py.
import { SmallPicture } from "./small_picture.js";

export class ImageFeed {
  constructor({ modality: { side } }, { run }) {
    this.run = run;
    this.picture = new SmallPicture([side, side]);
    this.planes = new Uint8Array(3 * side * side);
    this.values = { input: { data: this.planes, dims: [1, 3, side, side] } };
  }

  // The graph's scores of the next picture.
  async scores(pixels, step, width, height) {
    const { picture: { data }, planes } = this;
    this.picture.see(pixels, step, width, height);
    const size = planes.length / 3;
    for (let at = 0; at < size; at += 1) {
      for (let c = 0; c < 3; c += 1) planes[c * size + at] = data[3 * at + c];
    }
    return (await this.run(this.values)).score;
  }

  kept() { return null; }

  reset() {}
}
