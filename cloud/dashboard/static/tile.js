// One stream's tile: made once, then changed in place, so that nothing flickers.
import { ago, clock, origins, percent, share } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const PICTURE_EVERY_MS = 2000;

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") made.textContent = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export class Tile {
  // pictureBudget: how many bytes of pictures a page may fetch; null: as many as come.
  constructor(name, { width = 320, link = true, pictureBudget = null } = {}) {
    this.pictureBudget = pictureBudget;
    this.name = name;
    this.width = width;
    this.state = {};
    this.fetched = 0;
    this.fetchedMs = 0;
    this.boxes = [];
    this.visible = false;
    this.image = element("img", { alt: "", decoding: "async", hidden: "" });
    this.image.addEventListener("load", () => { this.image.hidden = false; this.drawBoxes(); this.pictureBudget?.took(this.image.src); });
    this.image.addEventListener("error", () => { this.image.hidden = true; this.note.textContent = "This picture can't be shown."; });
    this.overlay = boxLayer();
    this.labels = element("div", { class: "labels", "aria-hidden": "true" });
    this.note = element("p", { class: "note", text: "No picture yet." });
    const title = link ? element("a", { href: `/stream/${name.split("/").map(encodeURIComponent).join("/")}`, text: name }) : element("span", { text: name });
    this.dot = element("span", { class: "dot", role: "img" });
    this.age = element("span", { class: "age" });
    this.said = element("ul", { class: "said" });
    this.foot = element("p", { class: "foot" });
    this.events = element("p", { class: "foot seen" });
    this.contract = element("div", { class: "contract" });
    this.troubles = element("ul", { class: "troubles" });
    this.node = element("article", { class: "card tile", "aria-label": name },
      element("h2", {}, this.dot, title, this.age),
      element("div", { class: "picture" }, this.note, this.image, this.overlay, this.labels),
      this.said, this.foot, this.events, this.contract, this.troubles);
  }

  change(change) {
    Object.assign(this.state, change);
    const state = this.state;
    if ("connected" in change) {
      this.dot.className = state.connected ? "dot on" : "dot off";
      this.dot.setAttribute("aria-label", state.connected ? "connected" : "not connected");
      this.dot.title = state.connected ? "connected" : "not connected";
    }
    if ("said" in change) this.drawSaid();
    if ("inputs" in change || "sent" in change) {
      this.foot.textContent = `${state.inputs.toLocaleString()} ${state.inputs === 1 ? "input" : "inputs"} (${state.kind}), ${share(state.sent, state.inputs)} sent`;
    }
    if ("contract" in change) this.drawContract();
    if ("troubles" in change) {
      this.troubles.replaceChildren(...state.troubles.map((text) => element("li", { text })));
      this.node.classList.toggle("troubled", state.troubles.length > 0);
    }
    this.tick();
  }

  tick(nowMs = Date.now()) {
    this.age.textContent = ago(this.state.answered_us, nowMs);
    this.age.title = clock(this.state.answered_us);
    if (this.state.events) this.events.textContent = eventsOf(this.state.events, nowMs);
    const due = this.state.picture && this.state.picture !== this.fetched;
    const isShort = this.pictureBudget !== null && this.fetchedMs > 0 && !this.pictureBudget.free();
    if (due && this.visible && !isShort && nowMs - this.fetchedMs >= PICTURE_EVERY_MS) {
      this.fetched = this.state.picture;
      this.fetchedMs = nowMs;
      this.boxes = this.state.boxes;
      this.note.textContent = "";
      const path = this.name.split("/").map(encodeURIComponent).join("/");
      this.image.src = `/picture/${path}?width=${this.width}&at=${this.state.picture}`;
      this.image.alt = `The newest picture of ${this.name}: ${this.boxes.map((box) => box[4]).join(", ") || "no boxes"}`;
    }
  }

  drawBoxes() {
    drawBoxes(this.overlay, this.labels, this.boxes);
  }

  drawSaid() {
    this.said.replaceChildren(...this.state.said.map((each) => {
      const how = element("span", { class: `origin ${each.origin}`, text: each.origin, title: origins[each.origin] ?? "" });
      const parts = [element("span", { class: "model", text: each.model }), element("span", { class: "text", text: each.text }), how];
      // What the model itself has said is exact.
      if (each.trust !== "exact") parts.push(element("span", { class: `trust ${each.trust}`, text: `${each.trust} ${Math.round(100 * each.confidence)} %` }));
      if (each.origin !== "executed" && each.age_s > 0) parts.push(element("span", { class: "model", text: `${each.age_s} s old` }));
      return element("li", {}, ...parts);
    }));
  }

  drawContract() {
    const found = this.state.contract;
    if (!found || (found.promised === null && found.measured === null)) { this.contract.replaceChildren(); return; }
    const gauge = element("div", { class: "gauge", role: "img" });
    const least = 0.5;
    const at = (value) => `${100 * Math.max(0, Math.min(1, (value - least) / (1 - least)))}%`;
    const words = [];
    if (found.least !== null) {
      const span = element("span", { class: "span" });
      span.style.left = at(found.least);
      span.style.right = "0";
      gauge.append(span);
    }
    if (found.promised !== null) {
      const mark = element("span", { class: "promised" });
      mark.style.left = at(found.promised);
      gauge.append(mark);
      words.push(`promised ${percent(found.promised)}`);
    }
    if (found.measured !== null) {
      const mark = element("span", { class: "measured" });
      mark.style.left = at(found.measured);
      gauge.append(mark);
      words.push(`measured ${percent(found.measured)}`);
      if (found.least !== null) words.push(`surely above ${percent(found.least)}`);
    } else words.push("not measured yet");
    words.push(`${found.blocks} audits`);
    if (found.uncertified) words.push("not certified");
    const text = words.join(", ");
    gauge.setAttribute("aria-label", text);
    this.contract.classList.toggle("broken", found.broken);
    this.contract.replaceChildren(gauge, element("p", { text }));
  }
}

function eventsOf({ count, more, newest_us }, nowMs) {
  if (!count) return "No events in the last hour";
  return `${count}${more ? " or more" : ""} ${count === 1 ? "event" : "events"} in the last hour, newest ${ago(newest_us, nowMs)}`;
}

// Boxes over a picture, and the names of the first of them.
export function drawBoxes(overlay, labels, boxes) {
  const models = [...new Set(boxes.map((box) => box[5]))].sort();
  overlay.replaceChildren(...boxes.map(([left, top, right, bottom, , model]) => {
    const made = document.createElementNS(SVG, "rect");
    made.setAttribute("x", 1000 * left);
    made.setAttribute("y", 1000 * top);
    made.setAttribute("width", Math.max(0, 1000 * (right - left)));
    made.setAttribute("height", Math.max(0, 1000 * (bottom - top)));
    made.setAttribute("class", `box kind${models.indexOf(model) % 6}`);
    return made;
  }));
  labels.replaceChildren(...boxes.slice(0, 12).map(([left, top, , , text, model]) => {
    const made = element("span", { class: `label kind${models.indexOf(model) % 6}`, text });
    made.style.left = `${100 * left}%`;
    made.style.top = `${100 * top}%`;
    return made;
  }));
}

export function boxLayer() {
  const overlay = document.createElementNS(SVG, "svg");
  overlay.setAttribute("viewBox", "0 0 1000 1000");
  overlay.setAttribute("preserveAspectRatio", "none");
  overlay.setAttribute("aria-hidden", "true");
  return overlay;
}
