// Events and inputs as pictures, and times as people read them.
import { element } from "./tile.js";

const MOST = 60;

export function seconds(value) {
  if (value === null) return "never";
  return value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

export function duration(value) {
  return value < 120 ? `${Math.round(value)} s` : `${(value / 60).toFixed(1)} min`;
}

export function middle(stretch) { return Math.floor((stretch.first + stretch.last) / 2); }

function button(text, pressed, may, press) {
  const made = element("button", { type: "button", class: "plain small", "aria-pressed": String(pressed), text });
  made.disabled = !may;
  made.addEventListener("click", press);
  return made;
}

function shot(recording, index, what, note, buttons) {
  const made = element("figure", { class: "shot" });
  if (recording.pictures) {
    made.append(element("img", {
      src: `/tuner/picture/${encodeURIComponent(recording.name)}/${index}?width=320`, loading: "lazy", decoding: "async",
      alt: `${what}, ${note}`,
    }));
  }
  made.append(element("figcaption", {}, element("b", { text: what }), ` ${note}`), ...buttons);
  return made;
}

// Whether somebody says that what is chosen was there, which no model said.
function unsaid(marks, index, made) {
  const said = marks.said;
  if (said === null) return;
  const found = marks.at(index);
  made.classList.toggle("unsaid", found !== null);
  made.append(button(found ? `taken as missed: there was ${said.what}` : `Missed: there was ${said.what}`, found !== null, marks.may,
    () => (found ? marks.takeBack(found) : marks.say(index))));
}

function eventShot(recording, event, note, marks) {
  const made = shot(recording, middle(event), event.what, `${seconds(event.seconds)} long, ${note}`, []);
  if (marks === null) return made;
  const is = marks.is(event);
  made.append(button(is ? `taken as wrong: there was no ${event.what}` : `Wrong: there was no ${event.what}`, is, marks.may, () => marks.change(event, !is)));
  made.classList.toggle("wrong", is);
  unsaid(marks, middle(event), made);
  return made;
}

function inputShot(recording, index, note, marks) {
  const made = shot(recording, index, `input ${index.toLocaleString()}`, note, []);
  unsaid(marks, index, made);
  return made;
}

// Puts pictures of events, each with its note, where `node` is; of many the first ones. With `marks` they can be corrected.
export function fillShots(node, recording, noted, marks = null) {
  node.replaceChildren(...noted.slice(0, MOST).map(([event, note]) => eventShot(recording, event, note, marks)));
  if (noted.length > MOST) node.append(element("p", { text: `and ${noted.length - MOST} more` }));
}

// Puts pictures of inputs, by their indices, where `node` is.
export function fillInputs(node, recording, indices, note, marks) {
  node.replaceChildren(...indices.map((index) => inputShot(recording, index, note, marks)));
}

// Puts what was corrected where `node` is, the last one first, each with a way to take it back.
export function fillMarks(node, recording, marks) {
  const shown = marks.marks.slice(-MOST).reverse();
  node.replaceChildren(...shown.map((mark) => {
    const inputs = mark.last - mark.first + 1;
    const note = `${mark.there ? "was there, which" : "was not there, as"} ${mark.model} ${mark.there ? "did not say" : "said"}; ${inputs.toLocaleString()} ${inputs === 1 ? "input" : "inputs"}`;
    return shot(recording, middle(mark), mark.what, note, [button("Take back", false, marks.may, () => marks.takeBack(mark))]);
  }));
  if (marks.marks.length > MOST) node.append(element("p", { text: `and ${marks.marks.length - MOST} before these` }));
}
