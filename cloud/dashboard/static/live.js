// What changes on a page, as the coordinator tells it; a connection that broke is said, and made again. Returns what asks
// for something else from now on.
export function listen(query, handlers, told) {
  let source = null;
  let waitMs = 1000;
  function open() {
    source = new EventSource(`/updates?${new URLSearchParams(query)}`);
    source.onopen = () => { waitMs = 1000; told(""); };
    source.onerror = () => {
      told("The coordinator does not answer; trying again.");
      if (source.readyState !== EventSource.CLOSED) return;
      // Refused, not broken: the browser does not try again by itself.
      const refused = source;
      setTimeout(() => { if (source === refused) open(); }, waitMs);
      waitMs = Math.min(2 * waitMs, 30000);
    };
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
    }
  }
  open();
  // A page that nobody sees need not be told.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source.close();
    else if (source.readyState === EventSource.CLOSED) open();
  });
  return (other) => {
    query = other;
    source.close();
    if (!document.hidden) open();
  };
}
