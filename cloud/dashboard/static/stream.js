// The page of one stream: it now, and what happened on it.
import { listen } from "./live.js";
import { Tile } from "./tile.js";
import { Timeline } from "./timeline.js";

const start = document.getElementById("start").dataset;
const live = document.getElementById("live");
const tile = new Tile(start.name, { width: 1280, link: false });
const place = document.getElementById("tiles");
const timeline = new Timeline(start.name);

function show(state) {
  if (!tile.node.isConnected) place.append(tile.node);
  tile.change(state);
}

tile.visible = true;
const first = JSON.parse(start.start).tiles[start.name];
if (first) show(first);
else live.textContent = "It has not connected since the coordinator started; this is what it said before.";
listen({ stream: start.name }, {
  tiles: (changes) => {
    const change = changes[start.name];
    if (!change) return;
    show(change);
    if ("answered_us" in change || "troubles" in change) timeline.changed();
  },
  streams: ({ names }) => {
    if (names.length) live.textContent = "";
    else if (tile.node.isConnected) live.textContent = "This stream has gone.";
  },
}, (text) => { if (text || tile.node.isConnected) live.textContent = text; });
setInterval(() => tile.tick(), 1000);
