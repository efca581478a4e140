
// --- Theme and times ------------------------------------------------------------------------------------------------

const TIMES = "highlevel-sandbox-times";
const root = document.documentElement;
root.dataset.times = localStorage.getItem(TIMES) === "local" ? "local" : "utc";

const isLocal = () => root.dataset.times === "local";
const twoDigits = (number) => String(number).padStart(2, "0");
const localDay = (date) => `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
const localClock = (date) => [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(":");

/** Returns the offset of the browser's time zone: `UTC+02:00`. */
function zone(date) {
  const minutes = -date.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "-" : "+"}${twoDigits(hours)}:${twoDigits(rest)}`;
}

/** Replaces the UTC date and time in a text. */
function toLocal(text, date) {
  if (Number.isNaN(date.getTime())) return text;
  return text
    .replace(/\d{4,}-\d\d-\d\d/, localDay(date))
    .replace(/\d\d:\d\d:\d\d/, localClock(date))
    .replace(/\bUTC\b/, zone(date));
}

const converted = new WeakMap(); // the UTC text and the local text of each time

/** Shows all times of the page in UTC, as they were rendered, or in the time zone of the browser. */
function showTimes() {
  for (const element of document.querySelectorAll("#page time[datetime]:not(#clock, [data-clock], [data-until])")) {
    const text = element.textContent;
    const last = converted.get(element);
    const isConverted = last?.local === text;
    if (!isLocal()) {
      if (isConverted) element.textContent = last.utc;
      converted.delete(element);
    } else if (!isConverted) {
      const local = toLocal(text, new Date(element.dateTime));
      converted.set(element, { utc: text, local });
      if (local !== text) element.textContent = local;
    }
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("button[name=times]");
  if (button) {
    root.dataset.times = button.value;
    localStorage.setItem(TIMES, button.value);
    showTimes();
    showClock();
  }
  // A click elsewhere closes the menus of the header.
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
});
document.addEventListener("keydown", ({ key, target }) => {
  const menu = key === "Escape" && target.closest?.("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// With scripts the theme changes without a reload, which would discard typed text.
document.addEventListener("submit", async (event) => {
  if (event.target.id !== "theme") return;
  event.preventDefault();
  const { value } = event.submitter;
  try {
    const response = await fetch(event.target.action, { method: "POST", body: new URLSearchParams({ theme: value }), redirect: "manual" });
    if (response.type === "opaqueredirect") root.dataset.theme = value;
    else showError(`Server responded with ${response.status}.`);
  } catch {
    showError("Can't reach the sandbox. Is it still running?");
  }
});
document.addEventListener("DOMContentLoaded", showTimes);
document.addEventListener("htmx:after:swap", showTimes);
