// The answers on the page: as lines, and as boxes on the picture while that still shows what they are about.
import { element } from "../tile.js";
import { origins } from "../words.js";
import { line } from "./answers.js";

const SVG = "http://www.w3.org/2000/svg";
const LATE_MS = 10000;
const BOXES_SHOWN_MS = 3000;
const MOST_BOXES = 40;

export class Results {
  constructor({ said, boxes, labels }, beganMs = Date.now()) {
    this.nodes = { said, boxes, labels };
    this.beganMs = beganMs;
    this.answered = this.refusedCount = this.late = 0;
    this.newestMs = 0;
    this.shownMs = 0;
  }

  // Of an input that was taken long ago, or before this page was opened.
  isLate(head, nowMs) {
    return head.takenMs < this.beganMs || nowMs - head.takenMs > LATE_MS;
  }

  take(head, outputs, specs, nowMs = Date.now()) {
    const late = this.isLate(head, nowMs);
    this.answered += 1;
    this.late += late ? 1 : 0;
    // The newest is what the page shows.
    if (head.takenMs < this.newestMs) return;
    this.newestMs = head.takenMs;
    const lines = outputs.map((output) => line(output, specs[output.model]));
    const at = new Date(head.takenMs).toLocaleTimeString();
    this.nodes.said.replaceChildren(...lines.map((each) => row(each, late ? `late: of ${at}` : "")));
    if (late) { this.clear(); return; }
    this.shownMs = nowMs;
    this.draw(lines);
  }

  refused() { this.refusedCount += 1; }

  tick(nowMs = Date.now()) {
    if (this.shownMs && nowMs - this.shownMs > BOXES_SHOWN_MS) this.clear();
  }

  clear() {
    this.shownMs = 0;
    this.nodes.boxes.replaceChildren();
    this.nodes.labels.replaceChildren();
  }

  draw(lines) {
    const found = lines.flatMap((each, kind) => each.boxes.map((box) => [...box.slice(0, 5), kind % 6])).slice(0, MOST_BOXES);
    this.nodes.boxes.replaceChildren(...found.map(([left, top, right, bottom, , kind]) => {
      const made = document.createElementNS(SVG, "rect");
      const sizes = { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
      for (const [name, value] of Object.entries(sizes)) made.setAttribute(name, 1000 * value);
      made.setAttribute("class", `box kind${kind}`);
      return made;
    }));
    this.nodes.labels.replaceChildren(...found.map(([left, top, , , text, kind]) => {
      const made = element("span", { class: `label kind${kind}`, text });
      made.style.left = `${100 * left}%`;
      made.style.top = `${100 * top}%`;
      // Above the picture nothing is seen.
      if (top < 0.08) made.style.transform = "none";
      return made;
    }));
  }
}

function row(each, late) {
  const parts = [
    element("span", { class: "model", text: each.model }),
    element("span", { class: "text", text: each.text }),
    element("span", { class: `origin ${each.origin}`, text: each.origin, title: origins[each.origin] ?? "" }),
    element("span", { class: `trust ${each.trust}`, text: `${each.trust} ${Math.round(100 * each.confidence)} %` }),
  ];
  if (late) parts.push(element("span", { class: "late", text: late }));
  return element("li", {}, ...parts);
}
