// What was kept and has no answer yet: in IndexedDB, so that a reload loses nothing; bounded by bytes and by age.
const DATABASE = "infilink.phone";
const VERSION = 1;
const SIZE_BYTES = 64 * 2 ** 20;
const AGE_MS = 7 * 86400 * 1000;
// Once there is too much, so much is left: inputs do not go one by one.
const LEFT = 0.98;

function asked(request) {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

// Resolves once what was written is on disk.
function written(transaction) {
  return new Promise((done, failed) => {
    transaction.oncomplete = done;
    transaction.onabort = () => failed(transaction.error ?? new Error("aborted"));
    transaction.onerror = () => failed(transaction.error);
  });
}

// One session of one device. Heads are in memory, oldest first: { sequence, capturedNs, takenMs, score, skips, bytes }.
export class Queue {
  static async open(bounds = {}) {
    const queue = new Queue(bounds);
    try {
      const opening = indexedDB.open(DATABASE, VERSION);
      opening.onupgradeneeded = () => {
        for (const name of ["heads", "pictures", "about"]) opening.result.createObjectStore(name);
      };
      queue.database = await asked(opening);
      await queue.read();
    } catch (error) {
      queue.database = null;
      queue.trouble = `What is kept is in this page alone, as the browser stores nothing (${error.message || error.name}): a reload loses it.`;
    }
    return queue;
  }

  constructor({ sizeBytes = SIZE_BYTES, ageMs = AGE_MS } = {}) {
    this.sizeBytes = sizeBytes;
    this.ageMs = ageMs;
    this.database = null;
    this.heads = new Map();
    this.unwritten = new Map();
    this.bytes = 0;
    this.dropped = 0;
    this.about = { device: "", session: "", next: 0 };
    this.trouble = "";
  }

  get size() { return this.heads.size; }
  get oldestMs() { return this.heads.size ? Date.now() - this.heads.values().next().value.takenMs : 0; }

  async read() {
    const transaction = this.database.transaction(["heads", "about"]);
    const [heads, about] = await Promise.all([
      asked(transaction.objectStore("heads").getAll()),
      asked(transaction.objectStore("about").get("session")),
    ]);
    if (about) this.about = about;
    for (const head of heads.sort((one, other) => one.sequence - other.sequence)) this.add(head);
  }

  // Goes on with the session that has inputs without an answer; else a device begins a new one.
  async begin(device) {
    if (this.heads.size && this.about.device === device) return;
    if (this.heads.size) throw new Error(`${this.heads.size} pictures of ${this.about.device} wait: keep that name until they are answered`);
    this.about = { device, session: crypto.randomUUID(), next: 0 };
    await this.write((stores) => stores.about.put(this.about, "session"));
  }

  // Takes an input; returns its head once it is on disk, or in memory where the browser has none. What can't be written is
  // given up: sent all the same, its sequence could name another picture after a reload.
  async put({ capturedNs, score, skips = [] }, picture) {
    const sequence = this.about.next;
    const head = { sequence, capturedNs, takenMs: Date.now(), score, skips, bytes: picture.length };
    this.about = { ...this.about, next: sequence + 1 };
    this.add(head);
    this.unwritten.set(sequence, picture);
    const excess = this.excess();
    for (const each of excess) this.remove(each);
    this.dropped += excess.length;
    const isWritten = await this.write((stores) => {
      stores.about.put(this.about, "session");
      for (const each of excess) { stores.heads.delete(each); stores.pictures.delete(each); }
      if (!this.heads.has(sequence)) return;
      stores.heads.put(head, sequence);
      stores.pictures.put(picture, sequence);
    });
    if (isWritten) this.unwritten.delete(sequence);
    else if (this.database && this.heads.has(sequence)) {
      this.remove(sequence);
      this.dropped += 1;
    }
    return head;
  }

  // The picture of an input; null: it is gone.
  async picture(sequence) {
    const held = this.unwritten.get(sequence);
    if (held || !this.database) return held ?? null;
    return (await asked(this.database.transaction("pictures").objectStore("pictures").get(sequence)).catch(() => null)) ?? null;
  }

  // Notes that an input has its answer; its head, or null if it had one before.
  async answered(sequence) {
    const head = this.heads.get(sequence) ?? null;
    if (!head) return null;
    this.remove(sequence);
    await this.write((stores) => { stores.heads.delete(sequence); stores.pictures.delete(sequence); });
    return head;
  }

  // The oldest input that is on disk and not among those on their way.
  next(travelling) {
    for (const head of this.heads.values()) {
      const isPending = this.database && this.unwritten.has(head.sequence);
      if (!isPending && !travelling.has(head.sequence)) return head;
    }
    return null;
  }

  add(head) {
    this.heads.set(head.sequence, head);
    this.bytes += head.bytes;
  }

  remove(sequence) {
    this.bytes -= this.heads.get(sequence)?.bytes ?? 0;
    this.heads.delete(sequence);
    this.unwritten.delete(sequence);
  }

  // What is too old, or too much: the oldest go first.
  excess() {
    const found = [];
    const isOver = this.bytes > this.sizeBytes;
    let left = this.bytes;
    for (const head of this.heads.values()) {
      const isOld = Date.now() - head.takenMs > this.ageMs;
      if (!isOld && !(isOver && left > LEFT * this.sizeBytes)) break;
      found.push(head.sequence);
      left -= head.bytes;
    }
    return found;
  }

  // Whether it is on disk now.
  async write(change) {
    if (!this.database) return false;
    try {
      const transaction = this.database.transaction(["heads", "pictures", "about"], "readwrite");
      const done = written(transaction);
      change(Object.fromEntries(["heads", "pictures", "about"].map((name) => [name, transaction.objectStore(name)])));
      await done;
      this.trouble = "";
      return true;
    } catch (error) {
      this.trouble = `The browser can't store what is kept (${error.message || error.name}); it is given up.`;
      return false;
    }
  }
}
