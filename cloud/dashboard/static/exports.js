// Files of the stretch that is shown.
import { element } from "./tile.js";

const FORMS = [
  { as: "clip", name: "Clip", text: "H.264, each picture with its time; none stands longer than 2 s" },
  { as: "trace", name: "Trace", text: "for training and judging: pictures on which all its models ran" },
  { as: "coco", name: "COCO", text: "boxes as JSON, with the pictures" },
  { as: "mot", name: "MOT", text: "boxes of one model as text; nobody is followed, so each has the number -1" },
];

export class Exports {
  constructor(path) {
    this.path = path;
    this.place = document.getElementById("exports");
    this.models = element("select", { id: "export-model" }, element("option", { value: "", text: "all models" }));
    this.told = element("p", { class: "note-line", role: "status" });
    this.buttons = FORMS.map((form) => {
      const button = element("button", { type: "button", class: "plain", text: form.name, title: form.text });
      button.addEventListener("click", () => this.fetch(form));
      return button;
    });
    this.place.append(
      element("div", { class: "tools" }, element("h2", { id: "exports-title", text: "This time as a file" }),
        element("label", { class: "choices" }, "of ", this.models), element("div", { class: "choices" }, ...this.buttons)),
      element("ul", { class: "forms" }, ...FORMS.map((form) => element("li", {}, element("b", { text: form.name }), `: ${form.text}`))),
      this.told);
  }

  of(found) {
    this.found = found;
    this.place.hidden = found.known[1] === null;
    for (const model of new Set(found.models)) {
      if (![...this.models.options].some((option) => option.value === model)) this.models.append(element("option", { value: model, text: model }));
    }
  }

  async fetch(form) {
    const query = new URLSearchParams({ as: form.as, since_us: this.found.since_us, until_us: this.found.until_us, model: this.models.value });
    for (const button of this.buttons) button.disabled = true;
    this.told.textContent = `${form.name}: being made …`;
    try {
      const response = await fetch(`/export/${this.path}?${query}`);
      if (!response.ok) throw new Error((await response.json()).error);
      const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? form.as;
      const url = URL.createObjectURL(await response.blob());
      element("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
      this.told.textContent = `${name} is there.`;
    } catch (error) {
      this.told.textContent = `${form.name}: ${error.message}`;
    } finally {
      for (const button of this.buttons) button.disabled = false;
    }
  }
}
