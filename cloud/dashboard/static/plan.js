// The plan page: what is loaded now, and what the planner would choose with other budgets.
import { element } from "./tile.js";
import { bytes } from "./words.js";

const start = JSON.parse(document.getElementById("start").dataset.start);
const live = document.getElementById("live");
const EVERY_MS = 2000;
const WAITS_MS = 300;

function cell(text, kind = "", ...more) { return element("td", { class: kind, text }, ...more); }

// On a phone each figure stands below its column's name.
function fillRows(table, rows) {
  const names = [...table.querySelectorAll("thead th")].map((head) => head.textContent);
  for (const row of rows) for (const [at, each] of [...row.children].entries()) if (at && !each.classList.contains("words")) each.dataset.what = names[at];
  table.querySelector("tbody").replaceChildren(...rows);
}

function drawState(state) {
  const rows = state.models.map((model) => {
    const now = model.running ? "runs" : model.state;
    const where = model.place && model.place !== "host" ? ` on ${model.place}` : "";
    const why = element("td", { class: "words" });
    for (const text of [model.why, model.answered && `planned: ${model.answered}`, model.state !== "loaded" && model.refused && `not kept loaded: ${model.refused}`]) {
      if (text) why.append(element("div", { text }));
    }
    return element("tr", {},
      element("th", { scope: "row", text: model.name }),
      cell(now + (model.pinned ? ", pinned" : "")),
      cell(model.needs_bytes ? bytes(model.needs_bytes) + where : "–", "number"),
      cell(model.runs === null ? "–" : model.runs.toLocaleString(), "number"),
      cell(model.waiting === null ? "–" : model.waiting.toFixed(2), "number"),
      cell(model.keeping === null ? "–" : `${model.keeping.toFixed(2)} /s`, "number"),
      cell(model.expected === null ? "–" : model.expected.toFixed(2), "number"), why);
  });
  fillRows(document.getElementById("loaded"), rows);
  const parts = state.budgets.map(({ place, limit, reserved }) =>
    `${place === "host" ? "Memory" : place}: ${bytes(reserved)} ${limit ? `of ${bytes(limit)} given to models` : "given to models, no limit"}.`);
  if (state.cores !== null) {
    parts.push(state.price > 0 ? `Compute: ${state.cores} cores; a second of a core goes only to what prevents at least ${Number(state.price.toPrecision(3))} wrong answers.`
      : `Compute: ${state.cores} cores, enough for everything that tells anything.`);
  } else parts.push("Compute: no limit, every model runs on every input.");
  document.getElementById("budgets").textContent = parts.join(" ");
}

async function ask(path) {
  const reply = await fetch(path);
  const found = await reply.json();
  if (!reply.ok) throw new Error(found.error ?? `the coordinator says ${reply.status}`);
  return found;
}

async function look() {
  if (!document.hidden) {
    try {
      drawState(await ask("/plan/state"));
      live.textContent = "";
    } catch (error) { live.textContent = `The coordinator does not answer; trying again. (${error.message})`; }
  }
  setTimeout(look, EVERY_MS);
}

function setUp(sliders) {
  const form = document.getElementById("if");
  const words = {
    memory: (value) => (value === null ? "no limit" : bytes(value)),
    cores: (value) => `${value} cores`,
    streams: (value) => `${value}, each with ${sliders.inputs_per_s} inputs a second`,
  };
  for (const [name, { choices, now }] of Object.entries(sliders).filter(([key]) => key in words)) {
    const input = form.elements[name];
    Object.assign(input, { min: 0, max: choices.length - 1, step: 1 });
    input.defaultValue = choices.indexOf(now);
    input.value = input.defaultValue;
  }
  const chosen = (name) => sliders[name].choices[Number(form.elements[name].value)];
  const told = () => ({ memory: chosen("memory") ?? "", cores: chosen("cores"), streams: chosen("streams") });
  const write = () => {
    for (const [name, text] of Object.entries(words)) {
      document.getElementById(`${name}-told`).textContent = text(chosen(name));
      form.elements[name].setAttribute("aria-valuetext", text(chosen(name)));
    }
  };
  let waits = 0;
  let asked = 0;
  const change = () => {
    write();
    clearTimeout(waits);
    waits = setTimeout(async () => {
      asked += 1;
      const mine = asked;
      const then = document.getElementById("then");
      then.setAttribute("aria-busy", "true");
      try {
        const found = await ask(`/plan/what-if?${new URLSearchParams(told())}`);
        if (mine === asked) drawThen(found);
      } catch (error) {
        if (mine === asked) { document.getElementById("compared").hidden = true; then.replaceChildren(element("p", { class: "fault", text: error.message })); }
      }
      if (mine === asked) then.removeAttribute("aria-busy");
    }, WAITS_MS);
  };
  form.addEventListener("input", change);
  form.addEventListener("reset", () => setTimeout(change));
  form.addEventListener("submit", (event) => event.preventDefault());
  write();
}

function drawThen({ now, then, changes }) {
  const gain = then.agreement - now.agreement;
  const parts = [element("p", {
    text: `Expected agreement ${then.agreement.toFixed(3)} (now ${now.agreement.toFixed(3)}, ${gain < 0 ? "" : "+"}${gain.toFixed(3)}); `
      + `${bytes(then.memory)} of memory and ${then.cores} cores would be used${then.gap > 0 ? `; a better plan could add at most ${then.gap}` : ""}.`,
  })];
  if (changes.length) parts.push(element("ul", { class: "changes" }, ...changes.map((text) => element("li", { text }))));
  else parts.push(element("p", { text: "Nothing else would be chosen: each model is kept, and answered for, as now." }));
  document.getElementById("then").replaceChildren(...parts);
  const rows = Object.entries(then.models).map(([name, model]) => {
    const before = now.models[name] ?? {};
    const pair = (text, was) => {
      const made = element("td", {}, element("span", { class: text === was ? "" : "other", text }));
      if (text !== was) made.append(element("small", { text: `now ${was}` }));
      return made;
    };
    return element("tr", {}, element("th", { scope: "row", text: name }), pair(model.kept, before.kept),
      pair(model.agreement.toFixed(2), before.agreement?.toFixed(2)), cell([model.why, model.refused].filter(Boolean).join("; "), "words"));
  });
  const table = document.getElementById("compared");
  fillRows(table, rows);
  table.hidden = false;
}

drawState(start.state);
if (Object.keys(start.sliders).length) setUp(start.sliders);
setTimeout(look, EVERY_MS);
