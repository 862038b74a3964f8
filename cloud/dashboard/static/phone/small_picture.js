// A frame at the size that a network takes: `shrink` of models/stem/stem.py, to the bit.
import { Halvings } from "./halvings.js";
import { LinearScaler } from "./pixels.js";

// Makes `data`, bytes of BGR: halved by means while a frame is twice as large, the rest bilinear.
export class SmallPicture {
  constructor([width, height]) {
    this.size = { width, height };
    this.data = new Uint8Array(3 * width * height);
    // As a graph takes it.
    this.input = { data: this.data, dims: [1, height, width, 3] };
    this.shape = "";
  }

  // Takes bytes of RGB (`step` 3) or RGBA (4).
  see(pixels, step, width, height) {
    if (this.shape !== `${width}x${height}`) this.prepare(width, height);
    let { image, step: bytes } = this.halvings.shrink(pixels, step);
    if (this.last) {
      this.last.scale(image, bytes, this.scaled);
      image = this.scaled;
      bytes = 3;
    }
    const { data } = this;
    for (let at = 0, source = 0; at < data.length; at += 3, source += bytes) {
      data[at] = image[source + 2];
      data[at + 1] = image[source + 1];
      data[at + 2] = image[source];
    }
  }

  prepare(width, height) {
    const { width: wide, height: tall } = this.size;
    this.shape = `${width}x${height}`;
    this.halvings = new Halvings(width, height, (across, down) => across >= 2 * wide && down >= 2 * tall);
    ({ width, height } = this.halvings);
    const fits = width === wide && height === tall;
    this.last = fits ? null : new LinearScaler(width, height, wide, tall, 3);
    this.scaled = fits ? null : new Uint8Array(this.data.length);
  }
}
