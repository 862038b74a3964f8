// Whether the page can be installed as an app, which takes a certificate that the browser trusts; and how it could.
import { element } from "../tile.js";

// Registers what starts the page without a coordinator; says why it can't be, in words; empty: it is.
export async function register() {
  if (!window.isSecureContext) return "the page did not come by TLS (https)";
  if (!navigator.serviceWorker) return "this browser keeps no pages";
  try {
    // Its scope is the page alone.
    await navigator.serviceWorker.register("/phone/worker.js", { scope: "/phone" });
    return "";
  } catch (error) {
    return error.name === "SecurityError" ? "this browser does not trust the coordinator's certificate" : error.message;
  }
}

// Has what a page asked for before its worker was there kept for when nobody can be asked.
export async function keepOffline(...paths) {
  const workers = navigator.serviceWorker;
  if (!workers || workers.controller) return;
  const { active } = await workers.ready;
  for (const path of paths) active.postMessage(path);
}

// Says it in one line; `how` is a page that helps, if there is one.
export async function showInstall(line, how) {
  if (matchMedia("(display-mode: standalone)").matches) { await register(); return; }
  const why = await register();
  if (!why) {
    line.textContent = "It can be installed as an app, in the browser's menu: “Add to Home screen”. It then starts without the coordinator, too.";
    return;
  }
  line.replaceChildren(`It can't be installed as an app here: ${why}.`);
  if (how) line.append(" ", element("a", { href: how, text: "How it could" }));
}
