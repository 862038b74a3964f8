// The tuner of one recording: what is asked, how far the work is, and what comes of it level by level.
import { call, follow, left } from "./tuner_ask.js";
import { Marks } from "./tuner_marks.js";
import { Zones } from "./tuner_zones.js";
import { Dial } from "./tuner_dial.js";
import { Maker } from "./tuner_make.js";
import { element } from "./tile.js";
import { bytes } from "./words.js";

const start = JSON.parse(document.getElementById("start").dataset.start);
const { recording, stem, may, job: before } = start;
let { filters, suggestions } = start;
const at = (id) => document.getElementById(id);
const marks = new Marks(start, drawMarks);
const dial = new Dial(recording, marks);
let working = null;
let shown = null;
const maker = new Maker(start, work);
dial.moved = (level, point) => maker.stand(shown, level, point);
maker.judged = (sides) => dial.curve.judged(sides);

function option(value, text) { return element("option", { value, text }); }

function fill() {
  at("about").textContent = `${recording.inputs.toLocaleString()} inputs (${recording.input}) of ${(recording.seconds / 60).toFixed(1)} minutes, ` +
    `${bytes(recording.size_bytes)}, recorded from ${recording.source}. ${recording.unproven}`;
  offer();
  at("model").replaceChildren(...Object.keys(recording.models).map((name) => option(name, name)));
  at("networks-label").hidden = stem || !recording.pictures;
  at("aim-events").disabled = !recording.timed;
  at(recording.timed ? "aim-events" : "aim-accuracy").checked = true;
  busy();
  at("may").textContent = may ? "" : "To have something computed takes a token of the scope operator.";
  suggest();
  change();
}

function suggest(keep = false) {
  const rules = suggestions[at("model").value] ?? [];
  at("rules").replaceChildren(...rules.map((rule) => element("option", { value: rule })));
  if (!keep) at("rule").value = rules[0] ?? "";
}

function change() {
  const file = at("filter").value !== "";
  at("model-label").hidden = file;
  at("rule-label").hidden = file;
  at("networks-label").hidden = file || stem || !recording.pictures;
  at("within-label").hidden = at("aim-accuracy").checked;
}

function question() {
  const file = at("filter").value;
  const within = at("within").value;
  const aim = at("aim-events").checked ? "events" : "accuracy";
  return {
    do: "tune", recording: recording.name, aim, filter: file,
    model: file ? "" : at("model").value, rule: file ? "" : at("rule").value,
    within_s: aim === "events" && within !== "" ? Number(within) : null,
    networks: !file && at("networks").checked,
  };
}

function drawMarks() {
  marks.draw();
  if (dial.found !== null) dial.draw(true);
}

function show(job) {
  at("work").hidden = job.state !== "running";
  at("progress").value = job.done;
  at("doing").textContent = left(job);
}

async function wait(job) {
  working = job.number;
  busy();
  try {
    return await follow(job.number, show);
  } finally {
    working = null;
    at("work").hidden = true;
    busy();
  }
}

function busy() {
  for (const node of document.querySelectorAll("[data-works]")) node.disabled = !may || working !== null;
}

// Has something done and gives what comes of it; null: it was cancelled or went wrong, which is said.
async function work(asked, wrong) {
  at(wrong).textContent = "";
  try {
    const { key, job } = await call("/tuner/ask", asked);
    if (job !== null && (await wait(job)).state !== "done") return null;
    const found = await call(`/tuner/answer/${key}`);
    if (asked.do === "make") await refresh();
    return found;
  } catch (error) {
    at(wrong).textContent = error.message;
    return null;
  }
}

async function refresh() {
  ({ filters } = await call(`/tuner/filters/${encodeURIComponent(recording.name)}`));
  maker.offer(filters);
  offer();
}

function offer() {
  const kept = at("filter").value;
  at("filter").replaceChildren(option("", "learn one now"), ...filters.map((each) => option(each.name, `${each.name} (${each.asked[0]} ${each.asked[1]})`)));
  at("filter").value = filters.some((each) => each.name === kept) ? kept : "";
}

async function ask(event) {
  event.preventDefault();
  const asked = question();
  const found = await work(asked, "wrong");
  if (found === null) return;
  shown = asked;
  dial.show(found);
}

at("question").addEventListener("submit", ask);
at("question").addEventListener("change", change);
at("model").addEventListener("change", () => suggest());
at("cancel").addEventListener("click", async () => {
  if (working === null) return;
  try { await call("/tuner/cancel", { number: working }); } catch (error) { at("wrong").textContent = error.message; }
});
fill();
drawMarks();
if (recording.pictures) {
  const zones = new Zones(start, (found) => { suggestions = found; suggest(true); });
  zones.draw();
} else at("zones-block").hidden = true;
if (before !== null && before.state === "running") {
  wait(before).catch((error) => { at("wrong").textContent = error.message; });
}
