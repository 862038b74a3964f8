// Runs a filter's graph: onnxruntime-web, WebAssembly on one thread.
import * as ort from "../ort/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1;
const runtime = (name) => new URL(`../ort/ort-wasm-simd-threaded.${name}`, import.meta.url).href;
ort.env.wasm.wasmPaths = { mjs: runtime("mjs"), wasm: runtime("wasm") };
ort.env.logLevel = "error";

// Gives `inputs`, their shapes by name, and `run`, which takes { name: { data, dims } } of these at least, the same arrays
// each time, and returns the outputs' numbers by name, in the graph's order.
export async function openGraph(bytes) {
  const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all", logSeverityLevel: 3 };
  const session = await ort.InferenceSession.create(bytes, options);
  const inputs = Object.fromEntries(session.inputMetadata.map(({ name, shape }) => [name, shape]));
  const feeds = {};
  const run = async (values) => {
    for (const name of session.inputNames) feeds[name] ??= tensorOf(values[name]);
    const found = await session.run(feeds);
    return Object.fromEntries(session.outputNames.map((name) => [name, found[name].data]));
  };
  return { inputs, run };
}

function tensorOf({ data, dims }) {
  return new ort.Tensor(data instanceof Uint8Array ? "uint8" : "float32", data, dims);
}
