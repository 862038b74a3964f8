// Asks the coordinator for long work, and follows it.
const EVERY_MS = 400;

export async function call(path, body) {
  const given = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, given);
  } catch {
    throw new Error("The coordinator does not answer.");
  }
  let found = {};
  try { found = await response.json(); } catch { /* an error without words */ }
  if (!response.ok) throw new Error(found.error ?? `The coordinator answered ${response.status}.`);
  return found;
}

// Follows a piece of work until it ends; `told` is given how it is each time.
export async function follow(number, told) {
  for (;;) {
    const { job } = await call("/tuner/job");
    if (job === null || job.number !== number) throw new Error("This work is not known any more: ask again.");
    told(job);
    if (job.state === "failed") throw new Error(job.why);
    if (job.state !== "running") return job;
    await new Promise((resolve) => { setTimeout(resolve, EVERY_MS); });
  }
}

export function left(job) {
  if (job.left_s === null) return `${Math.round(100 * job.done)} %, ${job.doing}`;
  const seconds = Math.max(1, job.left_s);
  const time = seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  return `${Math.round(100 * job.done)} %, about ${time} more (an estimate): ${job.doing}`;
}
