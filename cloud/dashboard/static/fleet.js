// The fleet page: a card for each device, made once and changed in place.
import { filterRow } from "./fleet_filter.js";
import { element } from "./tile.js";
import { ago, bytes, clock, percent } from "./words.js";

const start = JSON.parse(document.getElementById("start").dataset.start);
const grid = document.getElementById("devices");
const live = document.getElementById("live");
const EVERY_MS = 2000;
const cards = new Map();
const titles = { pause: "Pause", drain: "Drain", resume: "Resume", revoke: "Revoke", enroll: "Enroll anew" };
const addressOf = (action, name) => (action === "enroll" ? `/fleet/enroll?name=${encodeURIComponent(name)}` : `/fleet/${action}/${encodeURIComponent(name)}`);
const does = { "": ["pause", "drain", "revoke"], paused: ["resume", "drain", "revoke"], drained: ["resume", "revoke"], revoked: [start.enrolls ? "enroll" : "resume"] };

function lasted(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

function since(us) { return lasted(Math.max(0, (Date.now() - us / 1000) / 1000)); }

function fact(name, value, title = "") {
  const made = element("dd", { text: value });
  if (title) made.title = title;
  return element("div", {}, element("dt", { text: name }), made);
}

function facts(device) {
  const found = [];
  if (device.connected_us) found.push(fact("connected since", since(device.connected_us), clock(device.connected_us)));
  found.push(fact("last seen", device.heard_us ? ago(device.heard_us) : "not since the coordinator began", clock(device.heard_us)));
  if (device.version) found.push(fact("version", device.version));
  if (device.disk_free_bytes != null) found.push(fact("disk free", bytes(device.disk_free_bytes)));
  if (device.memory_free_share != null) found.push(fact("memory free", percent(device.memory_free_share)));
  if (device.cpu_share != null) found.push(fact("processors busy", percent(device.cpu_share)));
  if (device.temperature_c != null) found.push(fact("heat", `${device.temperature_c.toFixed(0)} °C`));
  if (device.lost_share != null) found.push(fact("lost on the link", percent(device.lost_share)));
  if (device.enrolled) {
    const until = device.expires_us ? `, until ${new Date(device.expires_us / 1000).toLocaleDateString()}` : "";
    found.push(fact("enrolled", `${device.enrolled}${until}`, clock(device.enrolled_us)));
  }
  return found;
}

const COLUMNS = ["stream", "inputs are", "inputs", "round trip", "spool", "level", "gate"];

function streamRow(stream) {
  const spool = element("td", { class: "number", text: "none" });
  if (stream.spool) {
    const [count, size, oldest] = stream.spool;
    spool.textContent = `${count.toLocaleString()} inputs, ${bytes(size)}`;
    if (count) spool.append(element("small", { text: `oldest ${lasted(oldest)}` }));
  }
  const level = element("td", { text: stream.level || "full" });
  if (stream.level_reason) level.append(element("small", { text: stream.level_reason }));
  const gate = element("td", { text: stream.gate || "–" });
  if (stream.gate_digest) gate.append(element("small", {}, element("code", { text: stream.gate_digest })));
  const path = stream.name.split("/").map(encodeURIComponent).join("/");
  const name = element("th", { scope: "row" }, element("a", { href: `/stream/${path}`, text: stream.stream || stream.name }));
  if (!stream.connected) name.append(element("small", { text: "not connected" }));
  const cells = [element("td", { text: stream.kind || "–" }),
    element("td", { class: "number", text: stream.inputs.toLocaleString() }),
    element("td", { class: "number", text: stream.round_trip_s === null ? "–" : `${Math.round(1000 * stream.round_trip_s)} ms` }),
    spool, level, gate];
  // What it says on a phone, where nothing stands above it.
  cells.forEach((cell, at) => { cell.dataset.what = COLUMNS[at + 1]; });
  return element("tr", {}, name, ...cells);
}

function streamTable(device) {
  const head = COLUMNS.map((text) => element("th", { scope: "col", text }));
  const table = element("table", { class: "sheet" }, element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...device.streams.flatMap((stream) => [streamRow(stream), ...filterRow(stream, start.operator, head.length)])));
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `Streams of ${device.name}` }, table);
}

function draw(device) {
  const dot = element("span", { class: device.connected_us ? "dot on" : "dot off", role: "img", "aria-label": device.connected_us ? "connected" : "not connected" });
  const title = element("h2", {}, dot, element("span", { text: device.name }));
  if (device.state) title.append(element("span", { class: `state ${device.state}`, text: device.state }));
  const parts = [title];
  if (device.state) parts.push(element("p", { class: "said", text: `${device.state} by ${device.by}, ${ago(device.since_us)}`, title: clock(device.since_us) }));
  parts.push(element("dl", { class: "facts" }, ...facts(device)));
  if (device.streams.length) parts.push(streamTable(device));
  if (device.faults.length) parts.push(element("ul", { class: "troubles" }, ...device.faults.map((text) => element("li", { text }))));
  if (start.operator && does[device.state].length) {
    parts.push(element("p", { class: "actions" }, ...does[device.state].map((action) => element("a", {
      class: action === "revoke" ? "button danger" : "button", href: addressOf(action, device.name), text: titles[action],
      "aria-label": `${titles[action]} ${device.name}`,
    }))));
  }
  return parts;
}

function show(devices) {
  const names = new Set(devices.map((device) => device.name));
  for (const [name, card] of cards) if (!names.has(name)) { card.node.remove(); cards.delete(name); }
  devices.forEach((device, at) => {
    let card = cards.get(device.name);
    if (!card) {
      card = { node: element("article", { class: "card device", "aria-label": device.name }), told: "" };
      cards.set(device.name, card);
    }
    const told = JSON.stringify(device);
    // What somebody is at with the keyboard stays where it is.
    if (!card.node.contains(document.activeElement) || told !== card.told) {
      const active = card.node.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
      card.node.replaceChildren(...draw(device));
      if (active) card.node.querySelector(`[aria-label="${CSS.escape(active)}"]`)?.focus();
    }
    card.told = told;
    card.node.classList.toggle("troubled", device.faults.length > 0);
    if (grid.children[at] !== card.node) grid.insertBefore(card.node, grid.children[at] ?? null);
  });
  document.getElementById("empty").hidden = devices.length > 0;
  const connected = devices.filter((device) => device.connected_us).length;
  const troubled = devices.filter((device) => device.faults.length).length;
  document.getElementById("summary").textContent = devices.length
    ? `${connected} of ${devices.length} devices connected, ${troubled || "none"} with something that is not as it should be.` : "";
}

async function look() {
  if (!document.hidden) {
    try {
      const reply = await fetch("/fleet/state");
      if (!reply.ok) throw new Error((await reply.json()).error);
      show((await reply.json()).devices);
      live.textContent = "";
    } catch (error) { live.textContent = `The coordinator does not answer; trying again. (${error.message})`; }
  }
  setTimeout(look, EVERY_MS);
}

show(start.devices);
setTimeout(look, EVERY_MS);
