// A filter for several models: the deciding part of filters/gates/tasks.py.
import { feedOf } from "./feeds.js";

// Keeps a frame if any of its models needs it, and says which of them need not see it.
export class TasksFilter {
  constructor(spec, graph) {
    this.spec = spec;
    this.feed = feedOf(spec, graph);
    this.seen = this.kept = this.failed = 0;
  }

  // Decides on the next frame, as `Filter` does; the score is how far the neediest model's is above its threshold.
  async decide(pixels, step, width, height, capturedS) {
    const above = await this.above(pixels, step, width, height, capturedS);
    // Written so that NaN keeps.
    const skips = this.spec.tasks.filter((_, at) => above[at] <= 0).map(({ model }) => model);
    const keep = skips.length < above.length;
    const failed = above.some(Number.isNaN);
    this.seen += 1;
    this.kept += keep ? 1 : 0;
    this.failed += failed ? 1 : 0;
    return { keep, score: failed ? null : Math.max(...above), threshold: 0, learn: null, skips, failed };
  }

  async above(...frame) {
    try {
      const scores = await this.feed.scores(...frame);
      return this.spec.tasks.map(({ threshold }, at) => scores[at] - threshold);
    } catch (error) {
      this.error = error;
      return this.spec.tasks.map(() => NaN);
    }
  }
}
