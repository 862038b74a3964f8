// A frame halved by means of two by two pixels, in colour, as often as it stays large enough.
import { AreaShrinker, halve } from "./pixels.js";

export class Halvings {
  // For frames of this size; `isLarge(width, height)`: whether one of that size is halved once more.
  constructor(width, height, isLarge) {
    this.steps = [];
    while (isLarge(width, height)) {
      const [wide, tall] = [width >> 1, height >> 1];
      const area = width % 2 || height % 2 ? new AreaShrinker(width, height, wide, tall) : null;
      this.steps.push({ area, width, to: new Uint8Array(3 * wide * tall) });
      [width, height] = [wide, tall];
    }
    // Of what comes of it.
    this.width = width;
    this.height = height;
  }

  // Takes bytes of RGB (`step` 3) or RGBA (4); gives { image, step }.
  shrink(image, step) {
    for (const { area, width, to } of this.steps) {
      if (area) area.shrink(image, step, to);
      else halve(image, step, width, to);
      image = to;
      step = 3;
    }
    return { image, step };
  }
}
