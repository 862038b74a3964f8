// The phone page: chooses camera and filter, starts and stops, and shows what is decided.
import { element } from "../tile.js";
import { bytes as sized, share } from "../words.js";
import { executed } from "./answers.js";
import { Camera, noCamera } from "./camera.js";
import { Filter } from "./filter.js";
import { keepOffline, showInstall } from "./install.js";
import { Pace } from "./pace.js";
import { Queue } from "./queue.js";
import { Results } from "./results.js";
import { TasksFilter } from "./tasks_filter.js";
import { Uplink } from "./uplink.js";

const NAME = "phone.name";
const FILTER = "phone.filter";
const LOCK = "infilink.phone";
const LOCK_MS = 2000;
// Of a file's digest so many letters stand for it, as in models/spec.py.
const DIGEST = 16;
const STILL_MS = 5000;
const at = (id) => document.getElementById(id);
const camera = new Camera(at("video"));
const pace = new Pace();
const results = new Results({ said: at("said"), boxes: at("boxes"), labels: at("labels") });
const { version, wire, wireOldest, named, how } = at("start").dataset;
await becomeAlone();
const queue = await Queue.open();
const totals = { frames: 0, kept: 0, gate_failed: 0 };
let filters = {};
let running = null;
// What a report says of the filter that decides, or did last.
let gate = {};
let uplink = null;
let state = "";

// Says it once: a screen reader would read the same words again.
function say(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function trouble(text) { at("trouble").textContent = text; }

async function fetched(path) {
  const found = await fetch(path);
  if (found.ok) return found;
  const told = await found.json().catch(() => ({}));
  throw new Error(told.error ?? `${path}: ${found.status}`);
}

// Waits until this is the only page of its kind in the browser: two would number different pictures alike.
async function becomeAlone() {
  if (!navigator.locks) return;
  const telling = setTimeout(() => trouble("This page is open in another tab or window of this browser already: go on there, or close it."), LOCK_MS);
  await new Promise((granted) => {
    navigator.locks.request(LOCK, () => { granted(); return new Promise(() => {}); }).catch(granted);
  });
  clearTimeout(telling);
  trouble("");
}

// Why nothing can be done in this browser, in words; empty: it can.
function cannot() {
  return noCamera() || (typeof WebAssembly === "object" ? "" : "This browser has no WebAssembly, which filters run in.");
}

function figure(name, value) {
  return element("div", {}, element("dt", { text: name }), element("dd", { text: value }));
}

// A mean of the newest values.
function lately(mean, value) {
  return mean ? mean + 0.1 * (value - mean) : value;
}

// A run, from Start to Stop.
class Run {
  constructor(filter) {
    this.filter = filter;
    this.stopped = false;
    this.decideMs = 0;
    this.frameS = 0;
    this.shownMs = 0;
    this.working = null;
    this.writing = null;
    this.learning = null;
  }

  async work() {
    let beforeMs = 0;
    let aliveMs = performance.now();
    while (!this.stopped) {
      const beganMs = performance.now();
      // Of a page that nobody sees the camera stands still.
      const frame = document.hidden ? null : camera.frame();
      if (frame || document.hidden) aliveMs = beganMs;
      say("note", beganMs - aliveMs > STILL_MS ? "The camera gives no pictures: another app may hold it, or it has to be started again." : "");
      if (frame) {
        const capturedMs = performance.timeOrigin + beganMs;
        const found = await this.filter.decide(frame.pixels, 4, frame.width, frame.height, capturedMs / 1000);
        const endedMs = performance.now();
        this.decideMs = lately(this.decideMs, endedMs - beganMs);
        pace.took(endedMs - beganMs);
        if (beforeMs) this.frameS = lately(this.frameS, (beganMs - beforeMs) / 1000);
        beforeMs = beganMs;
        this.show(found, frame, endedMs);
        await this.take(found, capturedMs);
      }
      await pace.next(beganMs);
    }
  }

  // What is kept waits on this phone until it is answered.
  async take(found, capturedMs) {
    totals.frames += 1;
    totals.gate_failed += found.failed ? 1 : 0;
    if (!found.keep) return;
    totals.kept += 1;
    const capturedNs = BigInt(Math.round(1000 * capturedMs)) * 1000n;
    this.learning = { capturedNs, learn: found.learn };
    const jpeg = await camera.jpeg();
    // The next frame is looked at while this one is written, and written once this one is.
    await this.writing;
    this.writing = this.write({ capturedNs, score: found.score, skips: found.skips }, jpeg);
  }

  // Lets the filter know what the models themselves said of what it kept last.
  answered({ capturedNs }, outputs) {
    if (this.learning?.capturedNs === capturedNs) this.learning.learn?.(executed(outputs));
  }

  async write(about, jpeg) {
    await queue.put(about, jpeg);
    // Where it was stopped meanwhile, nothing waited, and the line was given up.
    connect();
    uplink.pump();
    showLink();
  }

  show(found, { width, height }, nowMs) {
    if (nowMs - this.shownMs < 200 && !found.keep) return;
    this.shownMs = nowMs;
    const { seen, kept } = this.filter;
    const decision = at("decision");
    decision.className = `decision ${found.keep ? "keep" : "drop"}`;
    decision.textContent = found.failed ? "kept: the filter failed on it" : found.keep ? "kept: something is new" : "not sent: nothing is new";
    const score = found.score === null ? "–" : found.score.toFixed(3);
    const threshold = Number.isFinite(found.threshold) ? found.threshold.toFixed(3) : "none";
    at("figures").replaceChildren(
      figure("score", score),
      figure("kept above", threshold),
      figure("frames kept", `${kept} of ${seen}, ${share(kept, seen)}`),
      figure("to decide", `${this.decideMs.toFixed(1)} ms`),
      figure("frames a second", this.frameS ? (1 / this.frameS).toFixed(1) : "–"),
      figure("picture", `${width} × ${height}`));
    at("slow").textContent = pace.why ? `Frames are looked at less often: ${pace.why}.` : "";
  }
}

// Connects, and stays so while the camera is on or something waits.
function connect() {
  if (uplink) return;
  uplink = new Uplink(queue, { version, wire: Number(wire), wire_oldest: Number(wireOldest) }, {
    state(text) { state = text; showLink(); },
    answered(head, outputs) { running?.answered(head, outputs); results.take(head, outputs, uplink?.specs ?? {}); settled(); },
    refused(head, why) { results.refused(); at("told").textContent = `A picture was refused: ${why}`; settled(); },
    notice(text) { at("told").textContent = text; },
    report: () => ({
      ...totals,
      ...gate,
      spooled: queue.size,
      spooled_bytes: queue.bytes,
      spool_oldest_s: queue.oldestMs / 1000,
      spool_dropped: queue.dropped,
      spool_state: queue.trouble || "ready",
      late: results.late,
    }),
  });
  uplink.open();
}

function settled() {
  if (!running && !queue.size) disconnect();
  showLink();
}

function disconnect() {
  uplink?.close();
  uplink = null;
  lock();
}

function showLink() {
  const device = queue.about.device;
  const waiting = queue.size ? `; ${queue.size} ${queue.size === 1 ? "picture waits" : "pictures wait"} (${sized(queue.bytes)})` : "";
  say("link", device && state ? `${device}: ${state}` : "");
  say("waiting", [
    results.answered || running ? `${results.answered} answered` : "Nothing was answered yet",
    `${results.late ? `, ${results.late} of them late` : ""}`,
    results.refusedCount ? `, ${results.refusedCount} refused` : "",
    waiting,
    queue.dropped ? `; ${queue.dropped} given up for want of room` : "",
    queue.trouble ? `. ${queue.trouble}` : "",
  ].join(""));
}

async function start() {
  const name = at("filter").value;
  at("note").textContent = "The filter is fetched…";
  const { openGraph } = await import("./graph.js").catch((error) => { throw new Error(`What filters run in can't be had; load this page anew: ${error.message}`); });
  const path = `/phone/filter/${encodeURIComponent(name)}?digest=${filters[name].digest}`;
  const bytes = new Uint8Array(await (await fetched(path)).arrayBuffer());
  keepOffline(path);
  const graph = await openGraph(bytes).catch((error) => { throw new Error(`The filter can't run in this browser: ${error.message}`); });
  await queue.begin(at("name").value);
  if (uplink && uplink.session !== queue.about.session) disconnect();
  at("note").textContent = "The camera is opened…";
  await camera.open(at("camera").value, () => stop("The camera went away."));
  at("note").textContent = "";
  localStorage.setItem(NAME, at("name").value);
  localStorage.setItem(FILTER, name);
  const spec = filters[name];
  pace.begin(spec.learnt_step_s);
  running = new Run(spec.tasks.length > 1 ? new TasksFilter(spec, graph) : new Filter(spec, graph));
  gate = { uncertified: !spec.certified, gate_name: `${name}.onnx`, gate_digest: spec.digest.slice(0, DIGEST) };
  at("go").textContent = "Stop";
  connect();
  lock();
  running.working = running.work().catch((error) => stop(`It stopped: ${error.message}`));
}

function stop(why = "") {
  const last = running;
  if (last) last.stopped = true;
  running = null;
  camera.close();
  at("go").textContent = "Start";
  // What it was at is kept first.
  Promise.resolve(last?.working).then(() => last?.writing).then(() => { if (!running) at("note").textContent = "The camera is off."; });
  at("decision").textContent = "";
  at("decision").className = "decision";
  trouble(why);
  results.clear();
  if (queue.size) showLink();
  else disconnect();
  lock();
}

function lock() {
  document.querySelector(".phone").classList.toggle("on", running !== null);
  for (const id of ["name", "camera", "filter"]) at(id).disabled = running !== null;
  // What waits is of the device that took it; and a phone's own token is for one name.
  at("name").readOnly = queue.size > 0 || named !== "";
  at("go").disabled = cannot() !== "" || !at("filter").value;
}

async function choose(event) {
  event.preventDefault();
  if (running) { stop(); return; }
  trouble("");
  at("go").disabled = true;
  try {
    await start();
  } catch (error) {
    stop(error.message);
  }
  lock();
}

// Whose layers come with a filter, and by which licence.
function stemOf({ stem }) {
  return stem ? `; layers of ${stem.model}, ${stem.licence || "licence not stated"}` : "";
}

async function list() {
  const { filters: found, folder } = await (await fetched("/phone/filters")).json();
  const fit = Object.entries(found).filter(([, each]) => !each.why_not);
  filters = Object.fromEntries(fit);
  at("filter").replaceChildren(...fit.map(([name, each]) => element("option", { value: name, text: `${name} (${each.models.join(", ")}${stemOf(each)})` })));
  if (localStorage.getItem(FILTER) in filters) at("filter").value = localStorage.getItem(FILTER);
  at("kept-back").replaceChildren(...Object.entries(found).filter(([, each]) => each.why_not).map(([name, each]) => element("li", { text: `${name}: ${each.why_not}` })));
  if (fit.length) return "";
  return folder ? "There is no filter in the folder `phone_filters` of cloud.toml that a phone can have." : "No filters are offered: whoever runs the coordinator names their folder, `phone_filters` in cloud.toml.";
}

// What was typed while this was loaded stays.
if (queue.size) at("name").value = queue.about.device;
else at("name").value ||= named || (localStorage.getItem(NAME) ?? "");
if (queue.size) connect();
showLink();
setInterval(() => results.tick(), 1000);
at("choice").addEventListener("submit", choose);
showInstall(at("install"), how);
keepOffline("/phone", "/phone/filters");
try {
  const none = await list();
  trouble(cannot() || none);
} catch (error) {
  trouble(`The filters can't be listed: ${error.message}`);
}
lock();
