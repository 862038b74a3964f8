// How a phone comes in: at once where the certificate is trusted; else it is said how to trust it, or it goes on without.
import { register } from "./install.js";

const at = (id) => document.getElementById(id);
const { known } = document.querySelector(".start").dataset;
const code = location.hash.slice(1);
const needsCode = code && !known;

// Browsers don't say which system they run on, but for this old line; who is taken for another opens another part.
function system() {
  if (/iPhone|iPad|Macintosh.*Mobile/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1)) return "ios";
  return /Android/.test(navigator.userAgent) ? "android" : "other";
}

at("code").value = code;
const why = await register();
if (why) {
  at("state").textContent = at("steps") ? "" : `This page can't be installed: ${why}.`;
  if (at("steps")) {
    at("steps").hidden = false;
    document.querySelector(`[data-system="${system()}"]`).open = true;
  }
  at("login").hidden = !needsCode;
  at("on").hidden = Boolean(needsCode);
} else if (needsCode) {
  at("login").submit();
} else if (code) {
  location.replace("/phone");
} else {
  at("state").textContent = "This phone trusts the certificate.";
  at("on").hidden = false;
}
