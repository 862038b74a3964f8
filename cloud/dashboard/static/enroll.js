// The page that shows a code: how long it still holds, and a button that copies the command.
const left = document.getElementById("left");
const copy = document.getElementById("copy");

function tick() {
  const seconds = Math.round((Number(left.dataset.expires) / 1000 - Date.now()) / 1000);
  if (seconds <= 0) left.textContent = "too late: its time is over, make another";
  else left.textContent = seconds < 60 ? `within ${seconds} s` : `within ${Math.ceil(seconds / 60)} minutes`;
}

if (left) {
  tick();
  setInterval(tick, 1000);
  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById("command").textContent.trim());
      document.getElementById("copied").textContent = "Copied.";
    });
  }
}
