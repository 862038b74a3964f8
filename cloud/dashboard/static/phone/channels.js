// Frames of a stream as a filter sees them: filters/modalities/stream.py in JavaScript.
import { LowLevel } from "./low_level.js";
import { Halvings } from "./halvings.js";
import { LinearScaler, grey, roundHalfEven } from "./pixels.js";

export const SIDE = 112;
export const SCALARS = 17;
const [AGE, STEP, CARRIED, DIFFERENCE, BACKGROUND, MOTION] = [0, 1, 2, 3, 5, 7];
const TOPS = [1, 4, 16, 64];
const KINDS = TOPS.length + 1;
const LATELY_S = 0.3;
const BACKGROUND_S = 20;
const BLOCKS = 28;
const BLOCK = SIDE / BLOCKS;
const REMEMBERED = 8;
const AREA = SIDE * SIDE;
const f32 = Math.fround;
const UNIT = f32(1 / 255);

// Follows a stream: `tensor` (1, 3, SIDE, SIDE), `scalars` (1, SCALARS) and the wanted low-level `differences` (1) by name
// are a filter's inputs for the frame last seen.
export class Channels {
  constructor({ pairwise, stepS = 0, lowLevel = [] }) {
    this.pairwise = pairwise;
    this.stepS = stepS;
    this.tensor = new Float32Array(3 * AREA);
    this.scalars = new Float32Array(SCALARS);
    this.picture = new Uint8Array(AREA);
    this.moved = new Uint8Array(AREA);
    this.changed = new Uint8Array(AREA);
    this.keptPicture = new Uint8Array(AREA);
    this.blocks = new Float32Array(BLOCKS * BLOCKS);
    this.change = new Float32Array(BLOCKS * BLOCKS);
    this.differences = Object.fromEntries(lowLevel.map((name) => [name, new Float32Array(1)]));
    this.lowLevel = lowLevel.length ? new LowLevel(SIDE, lowLevel) : null;
    this.keptFeatures = null;
    this.shrinker = new Shrinker();
    this.background = new Background();
    this.past = [];
    this.spare = Array.from({ length: REMEMBERED + 1 }, () => new Past());
    this.nowS = 0;
    this.keptS = 0;
  }

  reset() {
    this.background.reset();
    this.spare.push(...this.past);
    this.past = [];
    this.keptFeatures = null;
  }

  // Takes the next frame: bytes of RGB (`step` 3) or RGBA (4), captured at `capturedS` seconds.
  see(pixels, step, width, height, capturedS) {
    this.shrinker.shrink(pixels, step, width, height, this.picture);
    const started = this.past.length > 0;
    const stepS = started ? Math.max(0, capturedS - this.nowS) : 0;
    this.nowS = capturedS;
    if (!started) this.kept();
    this.background.difference(this.picture, capturedS, this.moved);
    const now = this.remember(capturedS);
    const before = this.before(capturedS);
    distance(this.picture, this.pairwise ? this.keptPicture : before.picture, this.changed);
    if (this.lowLevel) this.compare(now, before);
    [this.picture, this.moved, this.changed].forEach((image, channel) => {
      const to = channel * AREA;
      for (let at = 0; at < AREA; at += 1) this.tensor[to + at] = image[at] * UNIT;
    });
    means(this.tensor, 0, now.blocks);
    const values = this.scalars;
    values[AGE] = Math.log1p(Math.max(0, this.nowS - this.keptS));
    values[STEP] = stepS;
    values.set(this.summary(2), DIFFERENCE);
    values.set(this.summary(1), BACKGROUND);
    this.move(now, before, stepS, started);
  }

  carry(value) {
    this.scalars[CARRIED] = Number.isFinite(value) ? value : 0;
  }

  kept() {
    this.keptS = this.nowS;
    this.scalars[CARRIED] = 0;
    this.keptPicture.set(this.picture);
    this.keptFeatures = this.past.at(-1)?.features ?? null;
  }

  compare(now, before) {
    now.features = this.lowLevel.features(this.picture);
    const found = this.lowLevel.compare(now.features, (this.pairwise ? this.keptFeatures : before.features) ?? now.features);
    for (const [name, value] of Object.entries(found)) this.differences[name][0] = value;
  }

  remember(capturedS) {
    if (!this.spare.length) this.spare.push(this.past.shift());
    const now = this.spare.pop();
    now.capturedS = capturedS;
    now.features = null;
    now.picture.set(this.picture);
    this.past.push(now);
    return now;
  }

  before(capturedS) {
    while (this.past.length > 2 && this.past[1].capturedS <= capturedS - Math.max(this.stepS, 1e-9)) {
      this.spare.push(this.past.shift());
    }
    return this.past[0];
  }

  // A channel's mean, and that of its eight most different blocks.
  summary(channel) {
    means(this.tensor, channel * AREA, this.blocks);
    const ranked = this.blocks.sort();
    return [sum(ranked, 0) / ranked.length, sum(ranked, ranked.length - 8) / 8];
  }

  move(now, before, stepS, started) {
    for (let at = 0; at < this.change.length; at += 1) this.change[at] = Math.abs(f32(now.blocks[at] - before.blocks[at]));
    const ranked = this.change.sort();
    const size = ranked.length;
    const found = [...TOPS.map((top) => sum(ranked, size - top) / top), ranked[size >> 1]];
    const part = f32(started ? 1 - Math.exp(-stepS / LATELY_S) : 1);
    found.forEach((value, kind) => {
      const at = MOTION + kind;
      this.scalars[at] = Math.log(255 * value + 0.3);
      this.scalars[at + KINDS] += f32(part * f32(this.scalars[at] - this.scalars[at + KINDS]));
    });
  }
}

class Past {
  constructor() {
    this.capturedS = 0;
    this.picture = new Uint8Array(AREA);
    this.blocks = new Float32Array(BLOCKS * BLOCKS);
    this.features = null;
  }
}

// Makes the grey picture of SIDE x SIDE: halvings in colour, then along the longer side, then bilinear.
export class Shrinker {
  constructor() {
    this.shape = "";
  }

  shrink(pixels, step, width, height, to) {
    if (this.shape !== `${width}x${height}`) this.prepare(width, height);
    const halved = this.halvings.shrink(pixels, step);
    grey(halved.image, halved.step, this.grey);
    let image = this.grey;
    for (const { scaler, to: narrower } of this.narrower) {
      scaler.scale(image, 1, narrower);
      image = narrower;
    }
    if (this.last) this.last.scale(image, 1, to);
    else to.set(image);
  }

  prepare(width, height) {
    this.shape = `${width}x${height}`;
    this.narrower = [];
    this.halvings = new Halvings(width, height, (across, down) => Math.min(across, down) >= 2 * SIDE);
    ({ width, height } = this.halvings);
    this.grey = new Uint8Array(width * height);
    while (Math.max(width, height) >= 2 * SIDE) {
      const [wide, tall] = height > width ? [width, height >> 1] : [width >> 1, height];
      this.narrower.push({ scaler: new LinearScaler(width, height, wide, tall), to: new Uint8Array(wide * tall) });
      [width, height] = [wide, tall];
    }
    this.last = width === SIDE && height === SIDE ? null : new LinearScaler(width, height, SIDE, SIDE);
  }
}

// A slow running mean of the picture; how slow is counted in seconds of capture time.
class Background {
  constructor() {
    this.mean = new Float32Array(AREA);
    this.firstS = null;
    this.lastS = 0;
  }

  reset() {
    this.firstS = null;
  }

  difference(picture, capturedS, to) {
    const mean = this.mean;
    if (this.firstS === null) {
      this.firstS = capturedS;
      mean.set(picture);
    } else {
      const stepS = Math.max(0, capturedS - this.lastS);
      const slowS = Math.max(Math.min(BACKGROUND_S, capturedS - this.firstS), stepS, 1e-6);
      const part = f32(1 - Math.exp(-stepS / slowS));
      for (let at = 0; at < AREA; at += 1) mean[at] += f32(picture[at] - mean[at]) * part;
    }
    this.lastS = capturedS;
    for (let at = 0; at < AREA; at += 1) to[at] = Math.abs(picture[at] - roundHalfEven(mean[at]));
  }
}

function distance(one, other, to) {
  for (let at = 0; at < AREA; at += 1) to[at] = Math.abs(one[at] - other[at]);
}

// The mean of each block of BLOCK x BLOCK, in OpenCV's order of sums.
function means(values, from, to) {
  for (let row = 0; row < BLOCKS; row += 1) {
    for (let column = 0; column < BLOCKS; column += 1) {
      let found = 0;
      for (let y = 0; y < BLOCK; y += 1) {
        const at = from + (row * BLOCK + y) * SIDE + column * BLOCK;
        found = f32(found + f32(f32(f32(values[at] + values[at + 1]) + values[at + 2]) + values[at + 3]));
      }
      to[row * BLOCKS + column] = found / (BLOCK * BLOCK);
    }
  }
}

function sum(values, from) {
  let found = 0;
  for (let at = from; at < values.length; at += 1) found += values[at];
  return found;
}
