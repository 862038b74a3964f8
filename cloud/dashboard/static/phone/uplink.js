// The way to the coordinator: the messages of protos/edge.proto over a WebSocket; what breaks is made again.
import { ENUMS } from "./fields.js";
import { decode, encode, mapped } from "./wire.js";

const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [1000, 30000];
const REPORT_EVERY_MS = 5000;
const WELCOME_WITHIN_MS = 10000;
const MOST_UNSENT_BYTES = 2 ** 20;
const numbers = (name) => Object.fromEntries(Object.entries(ENUMS[name]).map(([number, text]) => [text, Number(number)]));
const { ENCODING_JPEG } = numbers("Encoding");
const { POLICY_ALL } = numbers("Policy");

// Sends what waits in a queue, and has each input answered once.
// `told`: state(text), answered(head, outputs), refused(head, why), notice(text), report() -> a Report's fields.
export class Uplink {
  constructor(queue, hello, told) {
    this.queue = queue;
    this.session = queue.about.session;
    this.hello = hello;
    this.told = told;
    this.specs = {};
    this.travelling = new Set();
    this.counts = { sent_bytes: 0, received_bytes: 0 };
    this.waitMs = FIRST_WAIT_MS;
    this.ended = false;
    this.pumping = false;
    this.pausedUntilMs = 0;
    this.again = this.again.bind(this);
    window.addEventListener("online", this.again);
    this.reporting = setInterval(() => this.report(), REPORT_EVERY_MS);
  }

  open() {
    this.timer = null;
    this.travelling.clear();
    this.window = 0;
    this.notice = "";
    const address = new URL("/phone/edge", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.told.state("connecting…");
    const socket = new WebSocket(address);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.send({ hello: { ...this.hello, device: this.queue.about.device, session: this.session } });
    socket.onmessage = ({ data }) => this.hear(new Uint8Array(data));
    socket.onclose = ({ reason }) => { if (socket === this.socket) this.closed(reason); };
    // A line that swallows everything: the browser itself would wait for minutes.
    setTimeout(() => {
      if (this.ended || socket !== this.socket || this.window || this.timer) return;
      socket.onclose = null;
      socket.close();
      this.closed("nobody answered");
    }, WELCOME_WITHIN_MS);
  }

  close() {
    this.ended = true;
    clearInterval(this.reporting);
    clearTimeout(this.timer);
    window.removeEventListener("online", this.again);
    this.socket?.close(1000);
    this.told.state("not connected");
  }

  // What broke is made again at once: the network is back.
  again() {
    if (this.ended || !this.timer) return;
    clearTimeout(this.timer);
    this.open();
  }

  closed(reason) {
    this.window = 0;
    if (this.ended) return;
    const why = this.notice.startsWith(reason) && this.notice ? this.notice : reason;
    const waitMs = this.waitMs * (1 + Math.random() / 2);
    this.told.state(`not connected${why ? `: ${why}` : ""}; trying again`);
    this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
    this.timer = setTimeout(() => this.open(), waitMs);
  }

  send(message) {
    const bytes = encode("DeviceMessage", message);
    this.counts.sent_bytes += bytes.length;
    this.socket.send(bytes);
  }

  hear(bytes) {
    this.counts.received_bytes += bytes.length;
    const { welcome, result, refused, notice, want, pause } = decode("CoordinatorMessage", bytes);
    if (welcome) {
      this.waitMs = FIRST_WAIT_MS;
      this.window = welcome.max_in_flight;
      this.specs = Object.fromEntries(Object.entries(mapped(welcome.specs)).map(([name, spec]) => [name, JSON.parse(spec)]));
      this.told.state("connected");
      this.report();
      this.pump();
    } else if (result) {
      this.settle(result.sequence, (head) => this.told.answered(head, result.outputs));
    } else if (refused) {
      const code = ENUMS.RefusedCode[refused.code] ?? "";
      this.settle(refused.sequence, (head) => this.told.refused(head, refused.message || code));
    } else if (notice) {
      this.notice = notice.text;
      this.told.notice(notice.text);
    } else if (want) {
      // Only of inputs whose frame is said to be kept; a phone says that of none.
      this.send({ frame: { sequence: want.sequence } });
    } else if (pause) {
      this.pausedUntilMs = performance.now() + 1000 * pause.retry_after_s;
      setTimeout(() => this.pump(), 1000 * pause.retry_after_s);
    }
  }

  async settle(sequence, tell) {
    const head = await this.queue.answered(sequence);
    this.travelling.delete(sequence);
    if (head) tell(head);
    this.pump();
  }

  // Sends what waits, as far as there is room for it on the way.
  async pump() {
    if (this.pumping) return;
    this.pumping = true;
    const socket = this.socket;
    try {
      while (this.hasRoom() && socket === this.socket) {
        const head = this.queue.next(this.travelling);
        if (!head) break;
        this.travelling.add(head.sequence);
        const payload = await this.queue.picture(head.sequence);
        if (socket !== this.socket || socket.readyState !== WebSocket.OPEN) break;
        if (!payload) { await this.queue.answered(head.sequence); continue; }
        const { sequence, capturedNs, score, skips } = head;
        // Of those that are known here; none: all of them look at it.
        const models = skips?.length ? Object.keys(this.specs).filter((name) => !skips.includes(name)) : [];
        this.send({ input: { sequence, captured_ns: capturedNs, captured_unix_ns: capturedNs, encoding: ENCODING_JPEG, payload, policy: POLICY_ALL, models, score: score ?? undefined } });
      }
    } finally {
      this.pumping = false;
    }
    // Another connection was made meanwhile, and found this one at work.
    if (socket !== this.socket) { this.pump(); return; }
    if (this.window && this.socket.bufferedAmount > MOST_UNSENT_BYTES) setTimeout(() => this.pump(), 100);
  }

  hasRoom() {
    return this.window > this.travelling.size && performance.now() >= this.pausedUntilMs
      && this.socket.readyState === WebSocket.OPEN && this.socket.bufferedAmount <= MOST_UNSENT_BYTES;
  }

  report() {
    if (this.window && this.socket.readyState === WebSocket.OPEN) this.send({ report: { ...this.told.report(), ...this.counts } });
  }
}
