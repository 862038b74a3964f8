// Events as pictures, and times as people read them.
import { element } from "./tile.js";

const MOST = 60;

export function seconds(value) {
  if (value === null) return "never";
  return value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

export function duration(value) {
  return value < 120 ? `${Math.round(value)} s` : `${(value / 60).toFixed(1)} min`;
}

// `wrong` says of an event whether somebody called it wrong, and is told when somebody does; without it nobody can.
function shot(recording, event, note, wrong) {
  const caption = element("figcaption", {}, element("b", { text: event.what }), ` ${seconds(event.seconds)} long, ${note}`);
  const made = element("figure", { class: "shot" });
  if (recording.pictures) {
    const middle = Math.floor((event.first + event.last) / 2);
    made.append(element("img", {
      src: `/tuner/picture/${encodeURIComponent(recording.name)}/${middle}?width=320`, loading: "lazy", decoding: "async",
      alt: `${event.what}, ${note}`,
    }));
  }
  made.append(caption);
  if (wrong) {
    const is = wrong.is(event);
    const button = element("button", { type: "button", class: "plain small", "aria-pressed": String(is), text: is ? `taken as wrong: there was no ${event.what}` : `Wrong: there was no ${event.what}` });
    button.disabled = !wrong.may;
    button.addEventListener("click", () => wrong.change(event, !is));
    made.append(button);
    made.classList.toggle("wrong", is);
  }
  return made;
}

// Puts pictures of events, each with its note, where `node` is; of many the first ones.
export function fillShots(node, recording, noted, wrong = null) {
  node.replaceChildren(...noted.slice(0, MOST).map(([event, note]) => shot(recording, event, note, wrong)));
  if (noted.length > MOST) node.append(element("p", { text: `and ${noted.length - MOST} more` }));
}
