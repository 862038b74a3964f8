// Messages of protos/edge.proto as bytes and back, as far as a phone needs them; fields.js has the numbers.
import { FIELDS } from "./fields.js";

const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5];
const text = new TextEncoder();
const words = new TextDecoder();

export function encode(kind, message) {
  const parts = [];
  for (const [name, value] of Object.entries(message)) {
    const field = FIELDS[kind]?.[name];
    if (!field) throw new Error(`${kind} has no field ${name}`);
    if (value === undefined || value === null) continue;
    for (const each of field.repeated ? value : [value]) {
      if (!field.repeated && !field.optional && field.type !== "message" && isNothing(each)) continue;
      write(field, each, parts);
    }
  }
  return joined(parts);
}

export function decode(kind, bytes) {
  const message = {};
  for (const [name, field] of Object.entries(FIELDS[kind])) {
    if (field.repeated) message[name] = [];
    else if (!field.optional && field.type !== "message") message[name] = nothing(field.type);
  }
  const names = namesOf(kind);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  function varint() {
    let found = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = view.getUint8(at);
      at += 1;
      found |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, found);
    }
    throw new Error("a number has no end");
  }
  while (at < bytes.length) {
    const key = Number(varint());
    const name = names.get(key >> 3);
    const field = name && FIELDS[kind][name];
    let value;
    switch (key & 7) {
      case VARINT: value = varint(); break;
      case FIXED64: value = view.getFloat64(at, true); at += 8; break;
      case FIXED32: value = view.getFloat32(at, true); at += 4; break;
      case BYTES: {
        const size = Number(varint());
        if (size > bytes.length - at) throw new Error("a message is cut short");
        value = bytes.subarray(at, at + size);
        at += size;
        break;
      }
      default: throw new Error(`no such kind of field: ${key & 7}`);
    }
    if (!field) continue;
    if (field.repeated && (key & 7) === BYTES && !["bytes", "message", "string"].includes(field.type)) {
      message[name].push(...unpacked(field.type, value));
    } else if (field.repeated) message[name].push(read(field, value));
    else message[name] = read(field, value);
  }
  return message;
}

// A map<string, string> as an object.
export function mapped(entries) {
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}

function write(field, value, parts) {
  const { number, type } = field;
  if (type === "int" || type === "bool") parts.push(varintOf(number << 3), varintOf(value));
  else if (type === "float") parts.push(varintOf((number << 3) | FIXED32), new Uint8Array(Float32Array.of(value).buffer));
  else if (type === "double") parts.push(varintOf((number << 3) | FIXED64), new Uint8Array(Float64Array.of(value).buffer));
  else {
    const bytes = type === "message" ? encode(field.message, value) : type === "string" ? text.encode(value) : value;
    parts.push(varintOf((number << 3) | BYTES), varintOf(bytes.length), bytes);
  }
}

function read(field, value) {
  switch (field.type) {
    case "int": return narrow(value);
    case "bool": return value !== 0n;
    case "string": return words.decode(value);
    case "message": return decode(field.message, value);
    default: return value;
  }
}

function unpacked(type, bytes) {
  const found = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type === "float") for (let at = 0; at + 4 <= bytes.length; at += 4) found.push(view.getFloat32(at, true));
  else if (type === "double") for (let at = 0; at + 8 <= bytes.length; at += 8) found.push(view.getFloat64(at, true));
  else {
    let value = 0n;
    let shift = 0n;
    for (const byte of bytes) {
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
      if (byte < 128) { found.push(narrow(value)); value = shift = 0n; }
    }
  }
  return found;
}

// What is too large for a number stays a BigInt: times in nanoseconds.
function narrow(value) {
  const signed = BigInt.asIntN(64, value);
  const number = Number(signed);
  return Number.isSafeInteger(number) ? number : signed;
}

function varintOf(value) {
  let left = BigInt.asUintN(64, BigInt(value));
  const found = [];
  do {
    const low = Number(left & 127n);
    left >>= 7n;
    found.push(left ? low | 128 : low);
  } while (left);
  return Uint8Array.from(found);
}

function namesOf(kind) {
  return new Map(Object.entries(FIELDS[kind]).map(([name, { number }]) => [number, name]));
}

function isNothing(value) {
  return value === 0 || value === 0n || value === false || value === "" || value.length === 0;
}

function nothing(type) {
  return { bool: false, bytes: new Uint8Array(), string: "" }[type] ?? 0;
}

function joined(parts) {
  const found = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    found.set(part, at);
    at += part.length;
  }
  return found;
}
