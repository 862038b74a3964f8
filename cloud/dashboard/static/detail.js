// One input of a stream: its picture with the boxes, what was said of it, and how that came to be.
import { boxLayer, drawBoxes, element } from "./tile.js";
import { bytes, clock, origins, trusts } from "./words.js";

const WRITTEN_MS = 1000;

export class Detail {
  constructor(name, path, look) {
    this.name = name;
    this.path = path;
    this.look = look;
    this.place = document.getElementById("detail");
    this.asked = "";
  }

  async show({ input, title, words }, again = true) {
    const query = new URLSearchParams({ session: input.session, sequence: input.sequence });
    const asked = this.asked = String(query);
    let found = null;
    try {
      const response = await fetch(`/input/${this.path}?${query}`);
      found = await response.json();
    } catch {
      found = { error: "The coordinator does not answer." };
    }
    if (asked !== this.asked) return;
    // What was just answered is there before what was sent is written.
    if (found.sent === null && again) setTimeout(() => { if (asked === this.asked) this.show({ input, title, words }, false); }, WRITTEN_MS);
    const head = element("h2", { id: "detail-title", text: title });
    if (found.error) { this.place.replaceChildren(head, element("p", { text: found.error })); return; }
    this.place.replaceChildren(head, this.picture(found, title), ...words.slice(1).filter(Boolean).map((text) => element("p", { class: "foot", text })), said(found), facts(found), this.steps(found));
  }

  picture(found, title) {
    const frame = element("div", { class: "picture" });
    if (!found.picture) {
      frame.append(element("p", { class: "note", text: found.sent ? unseen(found.sent.encoding) : "Its picture is not kept any more." }));
      return frame;
    }
    const image = element("img", { src: `/sent/${this.path}?number=${found.picture}&width=640`, alt: `${title}: ${found.boxes.map((box) => box[4]).join(", ") || "no boxes"}` });
    const overlay = boxLayer();
    const labels = element("div", { class: "labels", "aria-hidden": "true" });
    image.addEventListener("load", () => drawBoxes(overlay, labels, found.boxes));
    image.addEventListener("error", () => frame.replaceChildren(element("p", { class: "note", text: "This picture can't be shown any more." })));
    frame.append(image, overlay, labels);
    return frame;
  }

  steps(found) {
    const row = element("p", { class: "choices" });
    for (const [input, text] of [[found.before, "◀ Picture before"], [found.after, "Picture after ▶"]]) {
      const button = element("button", { type: "button", class: "plain", text });
      button.disabled = !input;
      if (input) button.addEventListener("click", () => this.look(input));
      row.append(button);
    }
    return row;
  }
}

function unseen(encoding) {
  if (encoding === "features") return "Features were sent in place of the picture.";
  if (encoding === "nothing") return "No picture was sent: models on the device answered.";
  return encoding === "jpeg" || encoding === "h264" ? "Its picture is not kept." : `It is no picture: ${encoding} was sent.`;
}

function said(found) {
  return element("ul", { class: "said" }, ...found.said.map((each) => {
    const how = element("span", { class: `origin ${each.origin}`, text: origins[each.origin] ?? each.origin });
    const sure = element("span", { class: `trust ${each.trust}`, text: `${trusts[each.trust] ?? each.trust}, ${Math.round(100 * each.confidence)} %` });
    const from = each.sources.length ? [element("span", { class: "model", text: `from ${each.sources.join(", ")}` })] : [];
    return element("li", {}, element("span", { class: "model", text: each.model }), element("span", { class: "text", text: each.text }), how, sure, ...from);
  }));
}

function facts(found) {
  const rows = [["answered", clock(found.answered_us)], ["in the coordinator", `${found.took_s.toFixed(3)} s`]];
  const { sent } = found;
  if (sent) {
    rows.push(["captured", sent.captured_us ? `${clock(sent.captured_us)}, by the device's clock` : "not told"]);
    rows.push(["from capture to answer", sent.delay_s === null ? "not known" : `${sent.delay_s.toFixed(2)} s`]);
    rows.push(["sent as", `${sent.encoding}, ${bytes(sent.bytes)}`]);
    rows.push(["why", sent.audited ? "drawn by the device's audit: its filter would not have sent it" : "its filter let it pass"]);
    if (sent.score !== null) rows.push(["score of the filter", sent.score.toPrecision(3)]);
  }
  rows.push(["input", `${found.sequence} of run ${found.session}`]);
  return element("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]));
}
