// Light or dark: as the system says, until the button says otherwise.
const root = document.documentElement;
const order = ["auto", "light", "dark"];

function apply(theme) {
  if (theme === "auto") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme);
}

let theme = localStorage.getItem("theme") ?? "auto";
apply(theme);
for (const button of document.querySelectorAll("[data-theme-button]")) {
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    localStorage.setItem("theme", theme);
    apply(theme);
  });
}
