// Says of each stream that is chosen what is known of the filter there, before it is rolled out.
import { call } from "./tuner_ask.js";
import { element } from "./tile.js";

const form = document.getElementById("roll-out");
const list = document.getElementById("foreseen");
const anyway = document.getElementById("anyway");
const known = new Map();
let asking = false;

function chosen() { return [...form.querySelectorAll("input[name=stream]:checked")].map((each) => each.value); }

function draw() {
  const shown = chosen().map((stream) => [stream, known.get(stream) ?? { text: "It is tried on what is kept of it …", breaks: false }]);
  list.replaceChildren(...shown.flatMap(([stream, { text, breaks }]) =>
    [element("dt", { text: stream }), element("dd", { text, ...(breaks ? { class: "fault" } : {}) })]));
  const breaks = shown.some(([, each]) => each.breaks);
  anyway.hidden = !breaks;
  anyway.querySelector("input").required = breaks;
}

// One after the other: the coordinator tries one at a time.
async function look() {
  draw();
  if (asking) return;
  asking = true;
  for (;;) {
    const stream = chosen().find((each) => !known.has(each));
    if (stream === undefined) break;
    const asked = new URLSearchParams({ stream });
    for (const name of ["file", "digest"]) if (form.elements[name]) asked.set(name, form.elements[name].value);
    try { known.set(stream, await call(`/fleet/foreseen?${asked}`)); } catch (error) { known.set(stream, { text: error.message, breaks: false }); }
    draw();
  }
  asking = false;
}

// Without any stream there is nothing to say.
if (list !== null) {
  form.addEventListener("change", look);
  look();
}
