// How often a frame is looked at: as often as the filter was learnt at; less often on a battery that is low, and where
// deciding takes long.
const PER_S = 15;
const MOST_PER_S = 30;
const SAVING_PER_S = 5;
const LOW = 0.2;
// So much of the time may go on deciding: the rest is the picture's, the page's and the phone's own.
const SHARE = 0.6;
const REMEMBERED = 15;
// At a rate that is so many times less, nothing is proven of a filter: OTHER_RATE of filters/learnt_from.py.
const OTHER_RATE = 1.5;

export class Pace {
  constructor() {
    this.lowLevel = null;
    this.begin(0);
    this.watch();
  }

  // Another filter is at work from now on; it was learnt from frames so many seconds apart, 0: nobody knows.
  begin(learntStepS) {
    this.learntPerS = learntStepS > 0 ? 1 / learntStepS : 0;
    this.tookMs = [];
    this.set();
  }

  // Notes how long a decision took. The first one also compiles.
  took(ms) {
    this.tookMs.push(ms);
    if (this.tookMs.length > REMEMBERED) this.tookMs.shift();
    this.set();
  }

  set() {
    const ms = [...this.tookMs].sort((one, other) => one - other)[this.tookMs.length >> 1] ?? 0;
    const wanted = Math.min(this.learntPerS || PER_S, MOST_PER_S);
    const able = this.tookMs.length < REMEMBERED ? wanted : Math.min(wanted, (1000 * SHARE) / ms);
    const low = this.lowLevel === null ? wanted : SAVING_PER_S;
    this.perS = Math.min(able, low);
    const why = [];
    if (low < able) why.push(`the battery is at ${Math.round(100 * this.lowLevel)} %`);
    else if (able < wanted) why.push(`this filter takes ${Math.round(ms)} ms for each on this phone, so that it is ${able.toFixed(1)} a second`);
    if (this.perS * OTHER_RATE < this.learntPerS) why.push(`the filter was learnt at ${this.learntPerS.toFixed(1)} a second, and what it promises is not proven at fewer`);
    this.why = why.join("; ");
  }

  async watch() {
    // Not every browser tells.
    const battery = await navigator.getBattery?.().catch(() => null);
    if (!battery) return;
    const look = () => {
      this.lowLevel = !battery.charging && battery.level <= LOW ? battery.level : null;
      this.set();
    };
    for (const event of ["chargingchange", "levelchange"]) battery.addEventListener(event, look);
    look();
  }

  // Waits until the next frame is due; `beganMs` is when the last one was.
  async next(beganMs) {
    const leftMs = 1000 / this.perS - (performance.now() - beganMs);
    await new Promise((done) => { setTimeout(done, Math.max(0, leftMs)); });
  }
}
