// Reducto's differences of two small grey pictures: `LowLevel` of filters/modalities/stream.py.
const CHANGED = 21;
const CORNER = 0.01;
const [WEAK_EDGE, EDGE] = [60, 120];
const TG22 = 13573;
const f32 = Math.fround;

export const LOW_LEVEL = ["pixel", "area", "edge", "corner"];

// Compares pictures of `side` x `side`; only what `names` asks for is computed.
export class LowLevel {
  constructor(side, names) {
    this.side = side;
    this.names = names;
    this.indices = { mirrored: indices(side, mirrored), repeated: indices(side, repeated) };
  }

  // What is compared of a picture.
  features(picture) {
    const { side, names, indices: { mirrored: inside, repeated: clamped } } = this;
    const blurred = blur(picture, side, inside);
    return {
      blurred,
      edges: names.includes("edge") ? edgesOf(blurred, side, clamped) : null,
      corners: names.includes("corner") ? cornersOf(picture, side, inside) : null,
    };
  }

  // The differences of two pictures by name, each the share that differs.
  compare(now, before) {
    const { side, names } = this;
    const changed = now.blurred.map((value, at) => (Math.abs(value - before.blurred[at]) > CHANGED ? 1 : 0));
    const measured = {
      pixel: () => count(changed),
      area: () => largest(grown(grown(changed, side), side), side),
      edge: () => apart(now.edges, before.edges),
      corner: () => apart(now.corners, before.corners),
    };
    return Object.fromEntries(names.map((name) => [name, measured[name]() / (side * side)]));
  }
}

function mirrored(at, side) { return at < 0 ? -at : at >= side ? 2 * side - 2 - at : at; }

function repeated(at, side) { return Math.min(Math.max(at, 0), side - 1); }

// Where a row or column that may lie up to two beyond the edge is read: `found[at + 2]`.
function indices(side, rule) {
  return Int32Array.from({ length: side + 4 }, (_, at) => rule(at - 2, side));
}

// GaussianBlur with 5 x 5: 1 4 6 4 1 both ways.
function blur(picture, side, index) {
  const rows = new Int32Array(side * side);
  const found = new Uint8Array(side * side);
  for (let y = 0, at = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1, at += 1) {
      const row = y * side;
      rows[at] = picture[row + index[x]] + picture[row + index[x + 4]]
        + 4 * (picture[row + index[x + 1]] + picture[row + index[x + 3]]) + 6 * picture[at];
    }
  }
  for (let y = 0, at = 0; y < side; y += 1) {
    const [a, b, c, d] = [0, 1, 3, 4].map((each) => side * index[y + each]);
    for (let x = 0; x < side; x += 1, at += 1) {
      found[at] = (rows[a + x] + rows[d + x] + 4 * (rows[b + x] + rows[c + x]) + 6 * rows[at] + 128) >> 8;
    }
  }
  return found;
}

// Sobel with 3 x 3: how the picture changes across and down, times 8.
function slopes(picture, side, index) {
  const [across, down] = [new Int32Array(side * side), new Int32Array(side * side)];
  for (let y = 0, at = 0; y < side; y += 1) {
    const [above, row, below] = [1, 2, 3].map((each) => side * index[y + each]);
    for (let x = 0; x < side; x += 1, at += 1) {
      const [left, here, right] = [index[x + 1], x, index[x + 3]];
      const [a, c, g, i] = [picture[above + left], picture[above + right], picture[below + left], picture[below + right]];
      across[at] = c + 2 * picture[row + right] + i - a - 2 * picture[row + left] - g;
      down[at] = g + 2 * picture[below + here] + i - a - 2 * picture[above + here] - c;
    }
  }
  return [across, down];
}

// Canny: steep places that are steepest across their edge, and are very steep or hang on one that is.
function edgesOf(picture, side, index) {
  const [across, down] = slopes(picture, side, index);
  // A border of zeros: nothing beyond is steep.
  const wide = side + 2;
  const steep = new Int32Array(wide * wide);
  for (let y = 0, at = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1, at += 1) steep[(y + 1) * wide + x + 1] = Math.abs(across[at]) + Math.abs(down[at]);
  }
  const edge = new Uint8Array(wide * wide);
  const strong = [];
  for (let y = 0, at = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1, at += 1) {
      const here = (y + 1) * wide + x + 1;
      if (steep[here] <= WEAK_EDGE || !isSteepest(steep, here, wide, across[at], down[at])) continue;
      edge[here] = 1;
      if (steep[here] > EDGE) { edge[here] = 2; strong.push(here); }
    }
  }
  const around = [-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1];
  while (strong.length) {
    const here = strong.pop();
    for (const step of around) if (edge[here + step] === 1) { edge[here + step] = 2; strong.push(here + step); }
  }
  const found = new Uint8Array(side * side);
  for (let y = 0, at = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1, at += 1) found[at] = edge[(y + 1) * wide + x + 1] === 2 ? 1 : 0;
  }
  return found;
}

function isSteepest(steep, here, wide, across, down) {
  const value = steep[here];
  const level = TG22 * Math.abs(across);
  const rise = Math.abs(down) * 32768;
  if (rise < level) return value > steep[here - 1] && value >= steep[here + 1];
  if (rise > level + Math.abs(across) * 65536) return value > steep[here - wide] && value >= steep[here + wide];
  const side = (across ^ down) < 0 ? -1 : 1;
  return value > steep[here - wide - side] && value > steep[here + wide + side];
}

// Harris' corners: where the picture changes both ways within 3 x 3.
function cornersOf(picture, side, index) {
  const products = [new Float32Array(side * side), new Float32Array(side * side), new Float32Array(side * side)];
  const [across, down] = slopes(picture, side, index);
  for (let at = 0; at < across.length; at += 1) {
    const [x, y] = [f32(across[at] / 12), f32(down[at] / 12)];
    products[0][at] = x * x;
    products[1][at] = x * y;
    products[2][at] = y * y;
  }
  const response = new Float32Array(side * side);
  let most = 1e-6;
  for (let y = 0, at = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1, at += 1) {
      const [a, b, c] = products.map((each) => around(each, side, index, x, y));
      response[at] = a * c - b * b - 0.04 * (a + c) * (a + c);
      most = Math.max(most, response[at]);
    }
  }
  return Uint8Array.from(response, (value) => (value > CORNER * most ? 1 : 0));
}

function around(values, side, index, x, y) {
  let found = 0;
  for (let dy = 1; dy < 4; dy += 1) {
    const row = side * index[y + dy];
    found += values[row + index[x + 1]] + values[row + index[x + 2]] + values[row + index[x + 3]];
  }
  return found;
}

// Each pixel that is set sets its neighbours.
function grown(image, side) {
  const found = new Uint8Array(image.length);
  for (let y = 0, at = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1, at += 1) {
      if (!image[at]) continue;
      for (let dy = -1; dy < 2; dy += 1) {
        for (let dx = -1; dx < 2; dx += 1) {
          if (y + dy >= 0 && y + dy < side && x + dx >= 0 && x + dx < side) found[at + dy * side + dx] = 1;
        }
      }
    }
  }
  return found;
}

// The pixels of the largest region that hangs together, also by corners. What was counted is cleared.
function largest(image, side) {
  let most = 0;
  for (let begin = 0; begin < image.length; begin += 1) {
    if (!image[begin]) continue;
    image[begin] = 0;
    const waiting = [begin];
    let size = 0;
    while (waiting.length) {
      const at = waiting.pop();
      const [x, y] = [at % side, Math.floor(at / side)];
      size += 1;
      for (let dy = Math.max(y - 1, 0); dy <= Math.min(y + 1, side - 1); dy += 1) {
        for (let dx = Math.max(x - 1, 0); dx <= Math.min(x + 1, side - 1); dx += 1) {
          const next = dy * side + dx;
          if (image[next]) { image[next] = 0; waiting.push(next); }
        }
      }
    }
    most = Math.max(most, size);
  }
  return most;
}

function count(image) {
  return image.reduce((sum, value) => sum + value, 0);
}

function apart(one, other) {
  return one.reduce((sum, value, at) => sum + (value === other[at] ? 0 : 1), 0);
}
