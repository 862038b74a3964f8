// Pictures made smaller and grey in OpenCV's own arithmetic, to the bit: a filter's scores are to be those of Python.
const f32 = Math.fround;
const COEFFICIENT = 2048;

export function roundHalfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

// The mean of each 2 x 2 pixels; INTER_AREA by exactly 2. `from` has `step` bytes a pixel, `to` 3.
export function halve(from, step, width, to) {
  const wide = width >> 1;
  const tall = to.length / (3 * wide);
  const row = step * width;
  let at = 0;
  for (let y = 0; y < tall; y += 1) {
    let upper = 2 * y * row;
    for (let x = 0; x < wide; x += 1, upper += 2 * step) {
      const lower = upper + row;
      for (let c = 0; c < 3; c += 1, at += 1) {
        to[at] = (from[upper + c] + from[upper + step + c] + from[lower + c] + from[lower + step + c] + 2) >> 2;
      }
    }
  }
}

// INTER_AREA by any factor above 1, as OpenCV's float tables have it.
export class AreaShrinker {
  constructor(width, height, wide, tall) {
    this.width = width;
    this.wide = wide;
    this.across = areaTable(width, wide);
    this.down = areaTable(height, tall);
    this.buffer = new Float32Array(3 * wide * height);
    this.sums = new Float32Array(3 * wide * tall);
  }

  shrink(from, step, to) {
    const { buffer, sums, wide, width } = this;
    buffer.fill(0);
    sums.fill(0);
    const height = buffer.length / (3 * wide);
    for (let y = 0; y < height; y += 1) {
      for (const [dx, sx, weight] of this.across) {
        const source = step * (y * width + sx);
        const target = 3 * (y * wide + dx);
        for (let c = 0; c < 3; c += 1) buffer[target + c] += f32(from[source + c] * weight);
      }
    }
    for (const [dy, sy, weight] of this.down) {
      let source = 3 * sy * wide;
      for (let at = 3 * dy * wide; at < 3 * (dy + 1) * wide; at += 1, source += 1) sums[at] += f32(buffer[source] * weight);
    }
    for (let at = 0; at < to.length; at += 1) to[at] = Math.min(255, roundHalfEven(sums[at]));
  }
}

function areaTable(from, to) {
  const scale = from / to;
  const found = [];
  for (let at = 0; at < to; at += 1) {
    const begin = at * scale;
    const end = begin + scale;
    const cell = Math.min(scale, from - begin);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(begin), last);
    if (first - begin > 1e-3) found.push([at, first - 1, f32((first - begin) / cell)]);
    for (let each = first; each < last; each += 1) found.push([at, each, f32(1 / cell)]);
    if (end - last > 1e-3) found.push([at, last, f32(Math.min(end - last, 1, cell) / cell)]);
  }
  return found;
}

// BGR2GRAY (here of RGB) with OpenCV's 15 bits.
export function grey(from, step, to) {
  for (let at = 0, source = 0; at < to.length; at += 1, source += step) {
    to[at] = (9798 * from[source] + 19235 * from[source + 1] + 3735 * from[source + 2] + 16384) >> 15;
  }
}

// INTER_LINEAR of bytes with OpenCV's 11 bits, for `channels` of them a pixel.
export class LinearScaler {
  constructor(width, height, wide, tall, channels = 1) {
    this.width = width;
    this.wide = wide;
    this.channels = channels;
    this.across = linearTable(width, wide, true);
    this.down = linearTable(height, tall, false);
    this.rows = new Int32Array(channels * wide * height);
  }

  // `from` has `step` bytes a pixel, of which the first `channels` count.
  scale(from, step, to) {
    const { rows, wide, width, across, down, channels } = this;
    for (let target = 0, row = 0; target < rows.length; row += step * width) {
      for (let x = 0; x < wide; x += 1) {
        const low = row + step * across.low[x];
        const high = row + step * across.high[x];
        const [lowWeight, highWeight] = [across.lowWeight[x], across.highWeight[x]];
        for (let c = 0; c < channels; c += 1, target += 1) rows[target] = from[low + c] * lowWeight + from[high + c] * highWeight;
      }
    }
    let target = 0;
    const size = channels * wide;
    for (let y = 0; y < down.low.length; y += 1) {
      const upper = down.low[y] * size;
      const lower = down.high[y] * size;
      const above = down.lowWeight[y];
      const below = down.highWeight[y];
      for (let x = 0; x < size; x += 1, target += 1) {
        to[target] = (((above * (rows[upper + x] >> 4)) >> 16) + ((below * (rows[lower + x] >> 4)) >> 16) + 2) >> 2;
      }
    }
  }
}

function linearTable(from, to, isAcross) {
  const found = { low: new Int32Array(to), high: new Int32Array(to), lowWeight: new Int32Array(to), highWeight: new Int32Array(to) };
  const scale = from / to;
  for (let at = 0; at < to; at += 1) {
    let part = f32((at + 0.5) * scale - 0.5);
    let low = Math.floor(part);
    part = f32(part - low);
    let high = low + 1;
    // Beyond the edges OpenCV drops the weights across, and only repeats the row down.
    if (isAcross && (low < 0 || high >= from)) { low = Math.min(Math.max(low, 0), from - 1); part = 0; }
    high = Math.min(Math.max(high, 0), from - 1);
    low = Math.min(Math.max(low, 0), from - 1);
    found.low[at] = low;
    found.high[at] = high;
    found.lowWeight[at] = roundHalfEven(f32(f32(1 - part) * COEFFICIENT));
    found.highWeight[at] = roundHalfEven(f32(part * COEFFICIENT));
  }
  return found;
}
