// Long work that the coordinator does for a page: asked for, in its turn, followed, and given up.
import { call, left } from "./tuner_ask.js";

const EVERY_MS = 400;
const SILENT_MS = 60000;
const at = (id) => document.getElementById(id);

export class Work {
  constructor(may) {
    Object.assign(this, { may, job: null, others: false, patient: true });
    at("cancel").addEventListener("click", () => this.cancel());
    this.busy();
  }

  // What comes of a question; null: it was cancelled. While others' work is done, it waits for its turn.
  async ask(asked) {
    this.patient = true;
    for (let turn = 0; ; turn += 1) {
      try {
        const { key, job } = await call("/tuner/ask", asked);
        return job === null ? await call(`/tuner/answer/${key}`) : await this.answer(job);
      } catch (error) {
        const { job } = error.status === 503 ? await call("/tuner/job") : { job: null };
        if (job === null || (job.state !== "running" && turn > 100)) throw error;
        await this.follow(job, true);
        if (!this.patient) return null;
      }
    }
  }

  // What comes of work that was begun; null: it was cancelled.
  async answer(job) {
    const ended = await this.follow(job);
    if (ended.state === "failed") throw new Error(ended.why);
    return ended.state === "done" ? call(`/tuner/answer/${ended.key}`) : null;
  }

  // Follows work until it ends, or until nobody wants to wait for others'.
  async follow(begun, others = false) {
    Object.assign(this, { job: begun, others });
    this.busy();
    let heardMs = performance.now();
    try {
      this.show();
      for (;;) {
        if (this.job.state !== "running" || (others && !this.patient)) return this.job;
        await new Promise((resolve) => { setTimeout(resolve, EVERY_MS); });
        try {
          const { job } = await call(`/tuner/job?number=${begun.number}`);
          if (job === null) throw Object.assign(new Error("The coordinator was started anew, and this work is gone: ask again."), { status: 404 });
          this.job = job;
          this.show();
          heardMs = performance.now();
        } catch (error) {
          if (error.status !== undefined || performance.now() - heardMs > SILENT_MS) throw error;
          at("doing").textContent = `${error.message} It is asked again …`;
        }
      }
    } finally {
      this.job = null;
      at("work").hidden = true;
      this.busy();
    }
  }

  async cancel() {
    if (this.job === null) return;
    if (this.others) { this.patient = false; return; }
    try { await call("/tuner/cancel", { number: this.job.number }); } catch (error) { at("wrong").textContent = error.message; }
  }

  show() {
    at("work").hidden = this.job.state !== "running";
    at("progress").value = this.job.done;
    at("doing").textContent = `${this.others ? `First ${this.job.title}: ` : ""}${left(this.job)}`;
    at("cancel").textContent = this.others ? "Don't wait" : "Cancel";
  }

  busy() {
    for (const node of document.querySelectorAll("[data-works]")) node.disabled = !this.may || this.job !== null;
  }
}
