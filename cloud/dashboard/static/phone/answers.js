// What models say of a picture: in words, and as boxes.
import { ENUMS } from "./fields.js";

const SHOWN = 3;

function numbers(output) {
  const { buffer, byteOffset, byteLength } = output.value;
  const bytes = buffer.slice(byteOffset, byteOffset + byteLength);
  if (output.dtype === "float32") return [...new Float32Array(bytes)];
  if (output.dtype === "int64") return [...new BigInt64Array(bytes)].map(Number);
  return [];
}

// The numbers of what the models themselves said, by model.
export function executed(outputs) {
  const ran = outputs.filter(({ origin }) => ENUMS.Origin[origin] === "ORIGIN_EXECUTED");
  return Object.fromEntries(ran.map((output) => [output.model, numbers(output)]));
}

// An output as a line: { model, text, origin, trust, confidence, ageS, boxes: [left, top, right, bottom, text] }.
export function line(output, spec) {
  const values = numbers(output);
  const classes = spec?.output.classes ?? [];
  const boxes = output.kind === "boxes" ? boxesOf(values, classes) : [];
  return {
    model: output.model,
    text: words(output, values, classes, boxes),
    origin: (ENUMS.Origin[output.origin] ?? "").replace("ORIGIN_", "").toLowerCase(),
    trust: output.trust || "uncalibrated",
    confidence: output.confidence,
    ageS: output.age_s,
    boxes,
  };
}

function boxesOf(values, classes) {
  const found = [];
  for (let at = 0; at + 6 <= values.length; at += 6) {
    const corners = values.slice(at, at + 4).map((value) => Math.min(1, Math.max(0, value)));
    const [score, index] = values.slice(at + 4, at + 6);
    found.push([...corners, `${classes[index] ?? `class ${index}`} ${score.toFixed(2)}`, classes[index] ?? `class ${index}`]);
  }
  return found;
}

function words(output, values, classes, boxes) {
  switch (output.kind) {
    case "label": {
      const best = Math.max(...values);
      return `${classes[values.indexOf(best)] ?? "–"} ${best.toFixed(2)}`;
    }
    case "multilabel": return classes.filter((_, at) => values[at] >= 0.5).join(", ") || "none";
    case "count": return String(Math.round(values[0]));
    case "scalar": return String(Number(values[0].toPrecision(3)));
    case "boxes": return counted(boxes.map((box) => box[5]));
    default: return `${output.kind} of ${output.shape.join(" × ")}`;
  }
}

function counted(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const found = [...counts].sort((one, other) => other[1] - one[1]);
  const listed = found.slice(0, SHOWN).map(([name, count]) => `${count} ${name}`).join(", ");
  return found.length > SHOWN ? `${listed}, …` : listed || "nothing";
}
