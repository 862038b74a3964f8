// What decides on a stream: by the device's own report, what an operator wants there, and how both do.
import { element } from "./tile.js";
import { ago, clock, percent } from "./words.js";

export function figures(found) {
  if (!found || !found.frames) return "";
  const parts = [`keeps ${percent(found.kept / found.frames)} of ${found.frames.toLocaleString()} inputs`];
  if (found.blocks && found.error != null) {
    const least = found.bound == null ? "" : ` (at least ${percent(1 - found.bound)})`;
    parts.push(`agrees on ${percent(1 - found.error)}${least}, by ${found.audited.toLocaleString()} audited`);
  } else if (found.promised != null) parts.push("its audit is not over yet");
  if (found.promised != null) parts.push(`${found.uncertified ? "asked for" : "promised"} ${percent(found.promised)}`);
  if (found.broken) parts.push("its promise is broken");
  return parts.join(", ");
}

// The row below a stream's: how what decides does, what is wanted, what became of it, and what may be done.
export function filterRow(stream, operator, columns) {
  const { filter } = stream;
  const lines = [];
  const say = (text, more = {}) => lines.push(element("p", { class: "said", text, ...more }));
  const since = filter.since_us ? `Decides since ${ago(filter.since_us).replace(" ago", "")}` : "Now";
  const now = figures(filter.figures);
  if (now) say(`${since}: it ${now}`, { title: clock(filter.since_us) });
  const before = filter.state === "at work" ? figures(filter.before) : "";
  if (before) say(`Before, ${filter.before.gate}: it ${before}`);
  if (filter.state) {
    const bad = ["refused", "too old"].includes(filter.state);
    say(`${filter.wanted} was wanted by ${filter.by}, ${ago(filter.wanted_us)}: ${filter.state}${filter.told ? `: ${filter.told}` : ""}`,
      { class: bad ? "said filter fault" : "said filter", title: clock(filter.wanted_us) });
  }
  if (operator) lines.push(actions(stream, filter));
  return lines.length ? [element("tr", {}, element("td", { colspan: columns, class: "below words" }, ...lines))] : [];
}

function actions(stream, filter) {
  const path = stream.name.split("/").map(encodeURIComponent).join("/");
  const link = (href, text) => element("a", { href, text, "aria-label": `${text}: ${stream.name}` });
  const found = [link(`/fleet/filter?stream=${encodeURIComponent(stream.name)}`, "Another filter")];
  if (filter.state === "refused" && filter.digest) found.push(link(`/fleet/filter?digest=${filter.digest}&stream=${encodeURIComponent(stream.name)}`, "Try again"));
  if (filter.back) found.push(link(`/fleet/back/${path}`, `Back to ${filter.back}`));
  if (filter.others) found.push(link(`/fleet/filter?digest=${filter.digest}`, filter.others === 1 ? "To the other one" : `To all ${filter.others} others`));
  return element("p", { class: "actions said" }, ...found);
}
