// Starts the phone page where the coordinator can't be reached, so that what waits on the phone goes on waiting for it.
// It keeps the page's files, which are named by their version, the page itself, and the filter that was used last; what
// can be had of the coordinator is never taken from here, but for files of the same version. VERSION, BASE and FILES are
// written above this by the coordinator, so that a new version of the page is a new worker.
const CACHE = `infilink.phone.${VERSION}`;
const FILTERS = "infilink.phone.filters";
const PAGE = "/phone";
const LISTED = "/phone/filters";
const FILTER = "/phone/filter/";
// A line that swallows everything is no line.
const ANSWERS_WITHIN_MS = 5000;

self.addEventListener("install", (event) => event.waitUntil(fill()));
self.addEventListener("activate", (event) => event.waitUntil(begin()));
// A page that was there before its worker names what it has asked for so far.
self.addEventListener("message", (event) => event.waitUntil(ask(event.data)));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname, search } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (pathname.startsWith(BASE)) event.respondWith(file(request));
  else if (pathname === PAGE && request.mode === "navigate") event.respondWith(newest(request, CACHE, PAGE, event));
  else if (pathname === LISTED || pathname.startsWith(FILTER)) event.respondWith(newest(request, FILTERS, pathname + search, event));
});

async function fill() {
  const cache = await caches.open(CACHE);
  await cache.addAll(FILES);
}

async function ask(path) {
  if (path !== PAGE && path !== LISTED && !path.startsWith(FILTER)) return;
  await answered(fetch(path)).then((found) => keep(path === PAGE ? CACHE : FILTERS, path, found)).catch(() => {});
}

async function begin() {
  // Who has not logged in yet gets the page later.
  await ask(PAGE);
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("infilink.phone.") && name !== CACHE && name !== FILTERS).map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function file(request) {
  return (await (await caches.open(CACHE)).match(request)) ?? fetch(request);
}

// What the coordinator says now; what it said last where it can't be reached.
async function newest(request, cache, name, event) {
  try {
    const found = await answered(fetch(request));
    event.waitUntil(keep(cache, name, found.clone()));
    return found;
  } catch (error) {
    const kept = await (await caches.open(cache)).match(name);
    if (kept) return kept;
    throw error;
  }
}

function answered(asked) {
  let timer = 0;
  const late = new Promise((_, failed) => { timer = setTimeout(() => failed(new TypeError("nobody answered")), ANSWERS_WITHIN_MS); });
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

async function keep(name, key, found) {
  if (!found.ok || found.redirected) return;
  // A page of another version goes with files that are not here.
  if (key === PAGE && found.headers.get("x-infilink-version") !== VERSION) return;
  const cache = await caches.open(name);
  // One filter is enough, and bounds what is kept.
  if (key.startsWith(FILTER)) await Promise.all((await cache.keys()).filter((each) => new URL(each.url).pathname.startsWith(FILTER)).map((each) => cache.delete(each)));
  await cache.put(key, found);
}
