// How many bytes of pictures a page of many tiles fetches: one that stays open all day is to cost no line much.
const BYTES_PER_S = 12000;
const MOST_BYTES = 24000;
const USUAL_BYTES = 10000;

export class PictureBudget {
  constructor() {
    this.left = MOST_BYTES;
    this.open = false;
  }

  // Once a second, before the tiles' turns: between them nothing is fetched but first pictures.
  turn() {
    this.left = Math.min(this.left + BYTES_PER_S, MOST_BYTES);
    this.open = true;
    setTimeout(() => { this.open = false; }, 0);
  }

  free() {
    if (!this.open || this.left <= 0) return false;
    this.left -= USUAL_BYTES;
    return true;
  }

  // What a picture really took, in the place of what was counted for it.
  took(source) {
    const entry = performance.getEntriesByName(new URL(source, location).href).at(-1);
    performance.clearResourceTimings();
    if (entry?.encodedBodySize) this.left += USUAL_BYTES - entry.encodedBodySize;
  }
}
