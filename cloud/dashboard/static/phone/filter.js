// A learned filter at work in the browser: the deciding part of filters/gates/learned.py.
import { BudgetControl } from "./budget.js";
import { feedOf } from "./feeds.js";

const LEAST_AGE_S = 1e-3;

// `graph` is as `openGraph` gives it.
export class Filter {
  constructor(spec, graph) {
    this.spec = spec;
    this.feed = feedOf(spec, graph);
    this.budget = spec.budget ? new BudgetControl(spec.budget) : null;
    this.seen = this.kept = this.failed = 0;
    this.reset();
  }

  reset() {
    this.feed.reset();
    this.budget?.reset();
    this.first = true;
    this.keptScore = NaN;
    this.keptS = -Infinity;
  }

  // Decides on the next frame: bytes of RGB (`step` 3) or RGBA (4). What the filter fails on is kept. `learn` takes the
  // models' own outputs for what is kept, where it is not null; `skips` are the models that need not see it.
  async decide(pixels, step, width, height, capturedS) {
    const { spec } = this;
    const found = await this.score(pixels, step, width, height, capturedS);
    let score = found;
    if (spec.keeps === "flip") {
      const [now, kept] = spec.state_weights;
      score = Math.log(Math.max(capturedS - this.keptS, LEAST_AGE_S)) + now * found - kept * this.keptScore;
    }
    const overdue = spec.longest_s !== null && capturedS - this.keptS >= spec.longest_s;
    const threshold = this.budget ? this.budget.threshold(spec.threshold) : spec.threshold;
    // What looks at single pictures takes the first as any other.
    const first = this.first && !spec.modality;
    // Written so that NaN keeps.
    const keep = first || overdue || !(score <= threshold);
    this.budget?.note(keep);
    this.seen += 1;
    this.failed += Number.isNaN(found) ? 1 : 0;
    let learn = null;
    if (keep) {
      this.kept += 1;
      this.keptScore = found;
      this.keptS = capturedS;
      learn = this.feed.kept();
      this.first = false;
    }
    return { keep, score: Number.isFinite(score) ? score : null, threshold, learn, skips: [], failed: Number.isNaN(found) };
  }

  async score(pixels, step, width, height, capturedS) {
    try {
      return Number((await this.feed.scores(pixels, step, width, height, capturedS))[0]);
    } catch (error) {
      this.error = error;
      return NaN;
    }
  }
}
