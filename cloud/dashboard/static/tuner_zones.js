// Zones and masks, drawn on a picture with the mouse, or corner by corner as numbers.
import { call } from "./tuner_ask.js";
import { element } from "./tile.js";

const SVG = "http://www.w3.org/2000/svg";
const WHOLE = 1000;
const LEAST_CORNERS = 3;
const at = (id) => document.getElementById(id);

function part(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function clamped(value) { return Math.round(Math.max(0, Math.min(1, value)) * 10000) / 10000; }

export class Zones {
  constructor({ recording, drawn, may }, saved) {
    Object.assign(this, { recording, may, saved });
    this.shapes = [
      ...Object.entries(drawn.zones).map(([name, points]) => ({ name, mask: false, points: points.map((each) => [...each]) })),
      ...drawn.mask.map((points) => ({ name: "", mask: true, points: points.map((each) => [...each]) })),
    ];
    this.chosen = this.shapes.length ? 0 : -1;
    this.held = -1;
    this.board = at("board");
    at("add-zone").addEventListener("click", () => this.add(false));
    at("add-mask").addEventListener("click", () => this.add(true));
    at("add-corner").addEventListener("click", () => { this.points.push([0.5, 0.5]); this.draw(); });
    at("drop-shape").addEventListener("click", () => { this.shapes.splice(this.chosen, 1); this.chosen = this.shapes.length - 1; this.draw(); });
    at("shapes").addEventListener("change", () => { this.chosen = Number(at("shapes").value); this.draw(); });
    at("shape-name").addEventListener("input", () => { this.shapes[this.chosen].name = at("shape-name").value; this.drawList(); });
    at("save-shapes").addEventListener("click", () => this.save());
    at("frame").addEventListener("change", () => this.drawPicture());
    this.board.addEventListener("pointerdown", (event) => this.press(event));
    this.board.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) this.board.addEventListener(kind, () => { if (this.held >= 0) { this.held = -1; this.draw(); } });
    at("frame").max = recording.inputs - 1;
    this.drawPicture();
  }

  get points() { return this.shapes[this.chosen].points; }

  add(mask) {
    const zones = this.shapes.filter((each) => !each.mask).length;
    this.shapes.push({ name: mask ? "" : `zone${zones + 1}`, mask, points: [] });
    this.chosen = this.shapes.length - 1;
    this.draw();
    at("board-told").textContent = "Click its corners on the picture, one after the other, or type them below.";
  }

  where(event) {
    const box = this.board.getBoundingClientRect();
    return [clamped((event.clientX - box.left) / box.width), clamped((event.clientY - box.top) / box.height)];
  }

  press(event) {
    if (this.chosen < 0) return;
    event.preventDefault();
    const corner = event.target.dataset?.corner;
    if (corner === undefined) { this.points.push(this.where(event)); this.held = this.points.length - 1; } else this.held = Number(corner);
    this.board.setPointerCapture(event.pointerId);
    this.draw();
  }

  move(event) {
    if (this.held < 0) return;
    this.points[this.held] = this.where(event);
    this.drawShapes();
  }

  drawPicture() {
    const index = Math.max(0, Math.min(this.recording.inputs - 1, Number(at("frame").value) || 0));
    at("board-picture").src = `/tuner/picture/${encodeURIComponent(this.recording.name)}/${index}?width=1280`;
  }

  draw() {
    const some = this.chosen >= 0;
    for (const id of ["add-corner", "drop-shape", "shapes"]) at(id).disabled = !some;
    at("save-shapes").disabled = !this.may;
    at("name-label").hidden = !some || this.shapes[this.chosen].mask;
    if (some) at("shape-name").value = this.shapes[this.chosen].name;
    this.drawList();
    this.drawShapes();
    this.drawCorners();
  }

  drawList() {
    at("shapes").replaceChildren(...this.shapes.map((each, place) => element("option", { value: place, text: each.mask ? `mask ${place + 1}` : `zone “${each.name}”` })));
    at("shapes").value = String(this.chosen);
  }

  drawShapes() {
    const drawn = this.shapes.flatMap((each, place) => {
      const corners = each.points.map(([x, y]) => `${WHOLE * x},${WHOLE * y}`).join(" ");
      return [part("polygon", { points: corners, class: `${each.mask ? "mask" : "zone"}${place === this.chosen ? " chosen" : ""}` })];
    });
    const handles = this.chosen < 0 ? [] : this.points.map(([x, y], place) => {
      const made = part("ellipse", { cx: WHOLE * x, cy: WHOLE * y, rx: 12, ry: 12 * this.board.clientWidth / Math.max(1, this.board.clientHeight), class: "corner" });
      made.dataset.corner = place;
      return made;
    });
    this.board.replaceChildren(...drawn, ...handles);
  }

  drawCorners() {
    const points = this.chosen < 0 ? [] : this.points;
    at("corners").replaceChildren(...points.map((point, place) => {
      const field = (axis, name) => {
        const made = element("input", { type: "number", min: 0, max: 100, step: 0.1, value: (100 * point[axis]).toFixed(1), "aria-label": `Corner ${place + 1}, ${name} in percent` });
        made.addEventListener("change", () => { point[axis] = clamped(Number(made.value) / 100); this.draw(); });
        return made;
      };
      const remove = element("button", { type: "button", class: "plain small", text: "remove", "aria-label": `Remove corner ${place + 1}` });
      remove.addEventListener("click", () => { points.splice(place, 1); this.draw(); });
      return element("li", {}, "x ", field(0, "from the left"), " % y ", field(1, "from the top"), " % ", remove);
    }));
  }

  async save() {
    at("board-wrong").textContent = "";
    const few = this.shapes.find((each) => each.points.length < LEAST_CORNERS);
    const names = this.shapes.filter((each) => !each.mask).map((each) => each.name.trim());
    if (few) { at("board-wrong").textContent = `${few.mask ? "A mask" : `Zone “${few.name}”`} has ${few.points.length} corners: it takes ${LEAST_CORNERS} or more.`; return; }
    if (new Set(names).size !== names.length || names.includes("")) { at("board-wrong").textContent = "Each zone takes a name of its own."; return; }
    const zones = Object.fromEntries(this.shapes.filter((each) => !each.mask).map((each) => [each.name.trim(), each.points]));
    const mask = this.shapes.filter((each) => each.mask).map((each) => each.points);
    try {
      const { suggestions, mask_line: line } = await call("/tuner/draw", { recording: this.recording.name, zones, mask });
      at("board-told").textContent = `Saved: ${names.length} zones, ${mask.length} masks.`;
      at("mask-line").textContent = line;
      this.saved(suggestions);
    } catch (error) {
      at("board-wrong").textContent = error.message;
    }
  }
}
