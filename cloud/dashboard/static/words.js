// Figures and times as people read them.
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (count >= 1024 && at < units.length - 1) { count /= 1024; at += 1; }
  return `${count < 10 && at ? count.toFixed(1) : Math.round(count)} ${units[at]}`;
}

export function share(part, whole) {
  if (!whole) return "–";
  const found = part / whole;
  return found > 0 && found < 0.01 ? "< 1 %" : `${Math.round(100 * found)} %`;
}

export function ago(atUs, nowMs = Date.now()) {
  if (!atUs) return "nothing yet";
  const seconds = Math.max(0, (nowMs - atUs / 1000) / 1000);
  if (seconds < 2) return "now";
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(atUs / 1000).toLocaleDateString();
}

export function clock(atUs) {
  return atUs ? new Date(atUs / 1000).toLocaleString() : "";
}

export function time(atUs) {
  const at = new Date(atUs / 1000);
  const isToday = at.toDateString() === new Date().toDateString();
  const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return isToday ? clock : `${at.toLocaleDateString([], { day: "numeric", month: "short" })}, ${clock}`;
}

export function span(sinceUs, untilUs) {
  const day = (us) => new Date(us / 1000).toLocaleDateString([], { weekday: "short", day: "numeric", month: "short" });
  const minute = (us) => new Date(us / 1000).toLocaleTimeString([], clockOf(untilUs - sinceUs));
  const [first, last] = [day(sinceUs), day(untilUs)];
  return `${first}, ${minute(sinceUs)} – ${first === last ? "" : `${last}, `}${minute(untilUs)}`;
}

export function tick(atUs, lengthUs) {
  const at = new Date(atUs / 1000);
  if (lengthUs > 2 * 86400e6) return at.toLocaleDateString([], { weekday: "short", day: "numeric" });
  return at.toLocaleTimeString([], clockOf(lengthUs));
}

// As exact as a stretch of that length takes.
function clockOf(lengthUs) {
  const minutes = { hour: "2-digit", minute: "2-digit" };
  return lengthUs < 300e6 ? { ...minutes, second: "2-digit" } : minutes;
}

export function lasted(us) {
  const seconds = us / 1e6;
  if (seconds < 0.05) return "one answer";
  if (seconds < 100) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

export const origins = {
  executed: "the model ran on it",
  linked: "predicted from other models",
  held: "as it was when the model last ran",
  constant: "what it says most often",
  local: "said by the device",
  reused: "a result from before, for an input like it",
  skipped: "not sent: its result would say nothing",
};

export const trusts = {
  exact: "exact",
  certified: "certified to agree",
  unsure: "too unsure to be certified",
  uncalibrated: "not compared often enough yet",
  revoked: "no longer trusted: it disagreed too often",
};
