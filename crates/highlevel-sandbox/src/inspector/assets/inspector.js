// The inspector: asks for the page anew when something has happened, and does what keys ask for. The rest is links and
// forms. There is nothing here that a page without scripts could not do, more slowly.
"use strict";

let refreshing = false; // the page is put anew, and not because the person did something

// What the person opened or is about to write is theirs, and stays when the page is put anew; so does what they are told.
htmx.registerExtension("inspector", {
  htmx_before_morph_node: (element, { oldNode, newNode }) =>
    !(refreshing && oldNode.id === newNode.id && (oldNode.id === "notice" || newNode.matches?.("[data-same]"))),
  htmx_before_morph_attr: (element, { attrName }) =>
    !(attrName === "open" && element.matches("details, dialog")),
});

const page = () => document.getElementById("page");
const here = () => location.pathname + location.search;

// --- Live -----------------------------------------------------------------------------------------------------------

let asking = false; // the page is being asked for
let stale = false; // and something has happened since
let turn = 0; // how many requests the person has made: what was asked for before the last one is too old
const pending = new Set(); // requests of the person, which come first

let rows = new Map(); // what the server said of each row when the page was last put anew, if nothing was asked for since

/** Of a long list most is as it was: an empty row that says so stands for it, and need not be parsed and gone through. */
function brief(text) {
  const last = rows;
  rows = new Map();
  return text.replaceAll(/<!--row-->(<li id="([^"]+)".*?<\/li>)<!--\/row-->/gs, (_, row, id) => {
    rows.set(id, row);
    return last.get(id) === row ? `<li id="${id}" data-same></li>` : row;
  });
}

const put = (text) => htmx.swap({ sourceElement: page(), target: "#page", select: "#page", swap: "outerMorph", text });

async function refresh() {
  if (asking || pending.size > 0 || document.hidden) {
    stale = true;
    return;
  }
  asking = true;
  stale = false;
  const [url, before] = [here(), turn];
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    const text = await response.text();
    if (url !== here() || before !== turn || pending.size > 0) {
      stale = true; // A person who went on in the meantime wants to see the other page.
    } else if (response.ok) {
      refreshing = true;
      await put(brief(text));
      if (page().querySelector("[data-same]")) {
        // A row was not where it was looked for, as when two have ids that are one to a browser.
        rows.clear();
        await put(text);
      }
    } else if (response.status === 401) {
      location.reload(); // To sign in.
    } else {
      // What is open is gone. What is on the screen, and what was written, stays.
      notice(new DOMParser().parseFromString(text, "text/html").getElementById("notice")?.textContent ?? `It answered ${response.status}.`);
    }
  } catch {
    stale = true; // The stream is broken as well, and says so.
    rows.clear();
    return;
  } finally {
    asking = false;
    refreshing = false;
  }
  if (stale) refresh();
}

/** Says what went wrong. */
function notice(text) {
  document.getElementById("notice").replaceChildren(Object.assign(document.createElement("p"), { textContent: text.trim() }));
}

let stream = null;

/** Listens while somebody looks: a browser has six connections to one place, and there may be more tabs. */
function follow() {
  if (document.hidden) {
    stream?.close();
    stream = null;
    return show("", "paused");
  }
  if (stream || !page().dataset.live) return;
  stream = new EventSource(document.body.dataset.liveUrl);
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

document.addEventListener("htmx:before:request", ({ detail }) => {
  pending.add(detail.ctx);
  turn += 1;
  const { sourceElement, request } = detail.ctx;
  // It is this search that is asked for, or the person has gone on without it.
  if (sourceElement.id === "filter" || request.method === "GET") {
    clearTimeout(editing);
    editing = null;
  }
});
document.addEventListener("htmx:finally:request", ({ detail }) => {
  pending.delete(detail.ctx);
  rows.clear();
  if (stale) refresh();
});
document.addEventListener("htmx:error", ({ detail }) => {
  const { ctx, error } = detail;
  if (ctx && error?.name !== "AbortError") notice("Not done: the sandbox does not answer. Is it still running?");
});
document.addEventListener("visibilitychange", follow);

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

const sent = new WeakMap(); // what was in the form of a request

// What is not searched for is not in the address.
document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  sent.set(ctx, new Map(ctx.request.body));
  if (ctx.sourceElement.id !== "filter") return;
  for (const [name, value] of [...ctx.request.body]) if (value === "") ctx.request.body.delete(name);
});

let editing = null; // the search was changed, and is going to be asked for
document.addEventListener("input", ({ target }) => {
  if (target.form?.id !== "filter") return;
  clearTimeout(editing);
  // Who types goes on typing; what is chosen is chosen. Before the library is there, the browser does it by itself.
  editing = setTimeout(() => document.getElementById("filter")?.requestSubmit(), target.type === "search" ? 150 : 0);
});

/** The search says what the address says, but for the field in which one is. */
function search() {
  if (editing !== null) return;
  const filter = document.getElementById("filter");
  const field = filter?.contains(document.activeElement) ? document.activeElement : {};
  const { value, checked } = field;
  filter?.reset();
  Object.assign(field, { value, checked });
}

/** What was sent is gone, what was written since or chosen stays for the next message, and this one is to be seen. */
function wrote(form, sent) {
  for (const field of form.querySelectorAll("input:not([type=radio]), textarea")) {
    if (sent.get(field.name)?.replaceAll("\r\n", "\n") === field.value) field.value = "";
  }
  atEnd = true;
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
  if (done && request?.method === "POST" && sourceElement.matches?.("form[data-reset]")) {
    sourceElement.reset();
    sourceElement.closest("details[data-close]")?.removeAttribute("open");
  }
  if (done && request?.method === "POST" && sourceElement.matches?.("form[data-writes]")) wrote(sourceElement, sent.get(detail.ctx));
  if (done && request) search();
  if (done) document.getElementById("notice").replaceChildren();
  settle();
  follow(); // The page before may have been one that nothing happens on.
});

// --- The clock ------------------------------------------------------------------------------------------------------

let told = null; // what the page said, and when
setInterval(() => {
  const clock = document.getElementById("clock");
  if (told?.text !== clock.dateTime) told = { text: clock.dateTime, at: performance.now() };
  const time = Date.parse(told.text) + (performance.now() - told.at) * Number(clock.dataset.speed);
  if (!Number.isFinite(time) || Math.abs(time) >= 8.64e15) return;
  const text = new Date(time).toISOString();
  clock.textContent = text.slice(11, 19);
  for (const whole of document.querySelectorAll("[data-clock]")) whole.textContent = `${text.slice(0, -14)} ${text.slice(11, 19)}`;
  for (const element of document.querySelectorAll("time[data-until]")) {
    const words = until(Math.ceil((Date.parse(element.dateTime) - time) / 1000));
    if (element.textContent !== words) element.textContent = words;
  }
}, 250);

/** How long it is until something, in the words of the server: the two largest units. */
function until(seconds) {
  if (!(seconds > 0)) return "now";
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([unit]) => seconds >= unit);
  let words = "in";
  for (const [unit, name] of units.slice(first, first + 2)) {
    if (seconds >= unit) words += ` ${Math.floor(seconds / unit)} ${name}`;
    seconds %= unit;
  }
  return words;
}

// --- Keys and buttons -----------------------------------------------------------------------------------------------

const KEYS = "highlevel-sandbox-single-keys";
const isField = (element) => element?.matches?.("input:not([type=checkbox], [type=radio]), textarea, select");

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (key === "Enter" && (event.ctrlKey || event.metaKey) && target.form) {
    event.preventDefault();
    if (!event.repeat) target.form.requestSubmit();
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
  if (event.repeat) return;
  const element = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  // Where there is room for the list beside it, the way back is not shown, and the key leads there all the same.
  if (!element || !(element.checkVisibility() || element.matches(".back"))) return;
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
  // The answer says it as well; until then the next key goes on from here.
  for (const other of rows) other.removeAttribute("aria-current");
  row.setAttribute("aria-current", "true");
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
  follow();
});
