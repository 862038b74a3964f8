// The tuner of one recording: what is asked, how far the work is, and what comes of it level by level.
import { call } from "./tuner_ask.js";
import { Look } from "./tuner_look.js";
import { Marks } from "./tuner_marks.js";
import { Zones } from "./tuner_zones.js";
import { Dial } from "./tuner_dial.js";
import { Maker } from "./tuner_make.js";
import { Work } from "./tuner_work.js";
import { element } from "./tile.js";
import { bytes } from "./words.js";

const start = JSON.parse(document.getElementById("start").dataset.start);
const { recording, stem, may, job: before } = start;
let { filters, suggestions } = start;
const at = (id) => document.getElementById(id);
const marks = new Marks(start, drawMarks);
const dial = new Dial(recording, marks);
const look = new Look(start, marks);
const work = new Work(may);
let shown = null;
const maker = new Maker(start, done);
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
  look.draw();
  if (dial.found !== null) dial.draw(true);
}

// Has something done and gives what comes of it; null: it was cancelled or went wrong, which is said.
async function done(asked, wrong) {
  at(wrong).textContent = "";
  try {
    const found = await work.ask(asked);
    if (found !== null && asked.do === "make") await refresh();
    return found;
  } catch (error) {
    at(wrong).textContent = error.message;
    return null;
  }
}

// The page was away while work was done: it goes on where it was.
async function resume(job) {
  if (job === null || job.question.recording !== recording.name) return;
  const asked = job.question;
  if (asked.do === "tune") restore(asked);
  try {
    const found = await work.answer(job);
    if (found === null) return;
    if (asked.do === "tune") show(asked, found);
    else if (asked.do === "make") {
      await refresh();
      at("ended").textContent = `${asked.name} is written: it is among the filters.`;
    }
  } catch (error) {
    if (job.state === "running") at("wrong").textContent = `${job.title}: ${error.message}`;
  }
}

function restore(asked) {
  at("filter").value = asked.filter;
  if (asked.model) at("model").value = asked.model;
  suggest();
  if (asked.rule) at("rule").value = asked.rule;
  at(`aim-${asked.aim}`).checked = true;
  at("within").value = asked.within_s ?? "";
  at("networks").checked = asked.networks;
  change();
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
  const found = await done(asked, "wrong");
  if (found !== null) show(asked, found);
}

function show(asked, found) {
  shown = asked;
  dial.show(found);
  look.draw();
}

at("question").addEventListener("submit", ask);
at("question").addEventListener("change", change);
at("model").addEventListener("change", () => { suggest(); marks.offerModel(at("model").value); drawMarks(); });
fill();
marks.offerModel(at("model").value);
drawMarks();
if (recording.pictures) {
  const zones = new Zones(start, (found) => { suggestions = found; suggest(true); });
  zones.draw();
} else for (const id of ["zones-block", "look-block"]) at(id).hidden = true;
resume(before);
