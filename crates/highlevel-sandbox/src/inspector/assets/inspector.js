// The inspector: asks for the page anew when something has happened, and does what keys ask for. The rest is links and
// forms. There is nothing here that a page without scripts could not do, more slowly.
"use strict";

// What the person opened or is about to write is theirs, and stays when the page is put anew.
htmx.registerExtension("inspector", {
  htmx_before_morph_attr: (element, { attrName }) =>
    !(attrName === "open" && element.matches("details, dialog")) && !(attrName === "hidden" && element.matches("[data-keep]")),
});

const page = () => document.getElementById("page");
const here = () => location.pathname + location.search;

// --- Live -----------------------------------------------------------------------------------------------------------

let asking = false; // the page is being asked for
let stale = false; // and something has happened since
const pending = new Set(); // requests of the person, which come first

async function refresh() {
  if (asking || pending.size > 0 || document.hidden) {
    stale = true;
    return;
  }
  asking = true;
  stale = false;
  const url = here();
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    const text = await response.text();
    // A person who went on in the meantime wants to see the other page.
    if (url === here() && pending.size === 0) {
      await put(new DOMParser().parseFromString(text, "text/html"));
    } else {
      stale = true;
    }
  } catch {
    stale = true; // The stream is broken as well, and says so.
    return;
  } finally {
    asking = false;
  }
  if (stale) refresh();
}

async function put(next) {
  const content = next.getElementById("page");
  if (!content) return;
  await htmx.swap({ sourceElement: page(), target: "#page", swap: "outerMorph", text: content.outerHTML });
}

function follow() {
  const stream = new EventSource(document.body.dataset.liveUrl);
  stream.addEventListener("connected", () => {
    show("is-on", "live");
    refresh(); // What happened before, or while the stream was broken.
  });
  stream.addEventListener("happened", ({ data }) => {
    const wanted = (page().dataset.live ?? "").split(" ");
    if (data.split(" ").some((name) => name === "missed" || wanted.includes(name))) refresh();
  });
  stream.addEventListener("error", () => show("is-off", "not live"));
}

function show(state, text) {
  const live = document.getElementById("live");
  live.className = `live ${state}`;
  if (live.textContent !== text) live.textContent = text;
}

document.addEventListener("htmx:before:request", ({ detail }) => pending.add(detail.ctx));
document.addEventListener("htmx:finally:request", ({ detail }) => {
  pending.delete(detail.ctx);
  if (stale) refresh();
});
document.addEventListener("visibilitychange", () => stale && refresh());

// --- After the page was put anew ------------------------------------------------------------------------------------

// What scrolls at its end goes on there, unless the person has scrolled away.
let atEnd = true;
const scrolling = () => document.querySelector("[data-scroll=end]");
let scrolled = null;

function settle() {
  const element = scrolling();
  if (element && (atEnd || element.id !== scrolled)) element.scrollTop = element.scrollHeight;
  scrolled = element?.id ?? null;
}

document.addEventListener(
  "scroll",
  ({ target }) => {
    if (target === scrolling()) atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
  },
  true,
);
document.addEventListener("htmx:after:swap", ({ detail }) => {
  const { sourceElement, response, request } = detail.ctx;
  const done = response && response.status < 400;
  if (done && request?.method === "POST" && sourceElement.matches?.("form[data-reset]")) sourceElement.reset();
  if (done) document.getElementById("notice").replaceChildren();
  settle();
});

// --- The clock ------------------------------------------------------------------------------------------------------

let told = null; // what the page said, and when
setInterval(() => {
  const clock = document.getElementById("clock");
  if (told?.text !== clock.dateTime) told = { text: clock.dateTime, at: performance.now() };
  const time = Date.parse(told.text) + (performance.now() - told.at) * Number(clock.dataset.speed);
  if (Number.isFinite(time) && Math.abs(time) < 8.64e15) clock.textContent = new Date(time).toISOString().slice(11, 19);
}, 250);

// --- Keys and buttons -----------------------------------------------------------------------------------------------

const KEYS = "highlevel-sandbox-single-keys";
const isField = (element) => element?.matches?.("input:not([type=checkbox], [type=radio]), textarea, select");

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (key === "Enter" && (event.ctrlKey || event.metaKey) && target.form) {
    event.preventDefault();
    target.form.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "Escape" && isField(target)) target.blur();
  if (isField(target) || document.querySelector("dialog[open]")) return;
  if (localStorage.getItem(KEYS) === "off") return;
  if (key === "j" || key === "k") {
    event.preventDefault();
    return step(key === "j" ? 1 : -1);
  }
  const element = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!element || element.disabled || !element.checkVisibility()) return;
  event.preventDefault();
  if (isField(element)) {
    element.focus();
    element.select?.();
  } else {
    element.click();
  }
});

function step(by) {
  const rows = [...document.querySelectorAll("#rows a.row")];
  const open = rows.findIndex((row) => row.hasAttribute("aria-current"));
  const row = rows[open < 0 ? 0 : open + by];
  if (!row) return;
  row.focus();
  row.click();
}

document.addEventListener("click", async ({ target }) => {
  const opener = target.closest?.("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  const copier = target.closest?.("[data-copies]");
  if (copier) say((await copy(document.getElementById(copier.dataset.copies).textContent)) ? "Copied" : "It could not be copied: select it and copy it");
});

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // Only pages of this machine, or of https, may.
  }
}

/** Says something to those who cannot see it, and shows it for a moment to those who can. */
function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.classList.remove("unseen");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => said.classList.add("unseen"), 2000);
}

document.addEventListener("change", ({ target }) => {
  if (target.id === "single-keys") localStorage.setItem(KEYS, target.checked ? "on" : "off");
});

document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("single-keys").checked = localStorage.getItem(KEYS) !== "off";
  settle();
  if (page().dataset.live) follow();
});
