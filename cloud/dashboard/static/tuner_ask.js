// Asks the coordinator for something, and says how long work will take. An error has the status of the answer, if there was one.
export async function call(path, body) {
  const given = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  let response, found = {};
  try {
    response = await fetch(path, given);
    if (response.ok) found = await response.json();
  } catch {
    throw new Error("The coordinator does not answer.");
  }
  if (!response.ok) try { found = await response.json(); } catch { /* an error without words */ }
  if (!response.ok) throw Object.assign(new Error(found.error ?? `The coordinator answered ${response.status}.`), { status: response.status });
  return found;
}

export function left(job) {
  if (job.left_s === null) return `${Math.round(100 * job.done)} %, ${job.doing}`;
  const seconds = Math.max(1, job.left_s);
  const time = seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  return `${Math.round(100 * job.done)} %, about ${time} more (an estimate): ${job.doing}`;
}
