// The site page: its head, and a page of tiles.
import { listen } from "./live.js";
import { PictureBudget } from "./picture_budget.js";
import { Tile, element } from "./tile.js";
import { bytes } from "./words.js";

const TYPED_MS = 250;
const first = JSON.parse(document.getElementById("start").dataset.start);
const form = document.getElementById("find");
let page = first.page;
const tiles = new Map();
const pictureBudget = new PictureBudget();
const grid = document.getElementById("tiles");
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const tile = tiles.get(entry.target.dataset.name);
    if (tile) { tile.visible = entry.isIntersecting; tile.tick(); }
  }
});

function drawTiles(changes) {
  for (const [name, change] of Object.entries(changes)) tiles.get(name)?.change(change);
}

// What is asked for, as the parameters of an address.
function asked(at = page) {
  const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  return new URLSearchParams(at ? { ...given, page: at } : given);
}

function drawStreams({ names, found, all }) {
  for (const [name, tile] of tiles) {
    if (!names.includes(name)) { seen.unobserve(tile.node); tile.node.remove(); tiles.delete(name); }
  }
  names.forEach((name, at) => {
    if (!tiles.has(name)) {
      const tile = new Tile(name, { pictureBudget });
      tile.node.dataset.name = name;
      tiles.set(name, tile);
      seen.observe(tile.node);
    }
    const node = tiles.get(name).node;
    if (grid.children[at] !== node) grid.insertBefore(node, grid.children[at] ?? null);
  });
  const empty = document.getElementById("empty");
  empty.hidden = names.length > 0;
  const find = form.elements.find.value;
  if (all === 0) empty.textContent = "No stream has connected yet. On a device: infilink device --coordinator HOST:PORT";
  else if (found) empty.textContent = "No streams on this page.";
  else if (form.elements.wrong.checked) empty.textContent = find ? `Nothing is wrong with a stream that is called something like “${find}”.` : "Nothing is wrong with any stream.";
  else empty.textContent = `No stream is called something like “${find}”.`;
  drawPages(found);
}

function drawPages(found) {
  const nav = document.getElementById("pages");
  const count = Math.ceil(found / first.size);
  nav.replaceChildren();
  if (count <= 1) return;
  for (let at = 0; at < count; at += 1) {
    const link = element("a", { href: `/site?${asked(at)}`, text: String(at + 1) });
    if (at === page) link.setAttribute("aria-current", "page");
    nav.append(link);
  }
}

function figure(name, value) {
  return element("div", {}, element("dt", { text: name }), element("dd", { text: value }));
}

function meter(name, used, most, text) {
  const row = element("div", { class: "meter" }, element("span", { text: name }));
  if (most) {
    const bar = element("meter", { min: 0, max: most, high: 0.9 * most, value: Math.min(used, most), "aria-label": name });
    row.append(bar);
  }
  row.append(element("span", { text }));
  return row;
}

function drawSite(site) {
  document.getElementById("figures").replaceChildren(
    figure("streams connected", `${site.connected} of ${site.streams}`),
    figure("inputs a second", site.inputs_per_s.toLocaleString()),
    figure("refused a second", site.refused_per_s.toLocaleString()),
    figure("up", site.uptime),
    figure("version", site.version));
  const [used, budget, peak] = site.memory;
  const [spent, cores] = site.compute;
  document.getElementById("meters").replaceChildren(
    meter("Memory", used, budget, budget ? `${bytes(used)} of ${bytes(budget)}, at most ${bytes(peak)}` : `${bytes(used)}, no limit`),
    meter("Compute", spent, cores, cores ? `${spent} of ${cores} cores` : `${spent} cores, every model runs on every input`));
  document.getElementById("running").textContent =
    `${site.loaded.length} of ${site.models} models loaded; now ${site.running.length ? `${site.running.join(", ")} at work` : "none at work"}`;
  document.getElementById("faults").replaceChildren(...site.faults.map((text) => element("li", { text })));
}

drawSite(first.site);
drawStreams(first.streams);
drawTiles(first.tiles);
const ask = listen(asked(), { site: drawSite, streams: drawStreams, tiles: drawTiles },
  (text) => { document.getElementById("live").textContent = text; });

function find() {
  page = 0;
  history.replaceState(null, "", `/site?${asked()}`);
  ask(asked());
}

let typed = null;
form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(typed); find(); });
form.addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(find, TYPED_MS); });
setInterval(() => {
  pictureBudget.turn();
  // Whose picture is the oldest comes first.
  for (const tile of [...tiles.values()].sort((one, other) => one.fetchedMs - other.fetchedMs)) tile.tick();
}, 1000);
