// The script of the inspector: reloads the page after events and handles keyboard shortcuts. Everything else is links and
// forms, so every page also works without scripts.
"use strict";

let refreshing = false; // `true` while the page is replaced because of an event, not because of a user action

// A refresh preserves open elements, typed text and the current error message.
htmx.registerExtension("inspector", {
  htmx_before_morph_node: (element, { oldNode, newNode }) =>
    !(refreshing && oldNode.id === newNode.id && (oldNode.id === "notice" || newNode.matches?.("[data-same]") || (oldNode.id === "list" && isHeld()))),
  htmx_before_morph_attr: (element, { attrName }) =>
    !(attrName === "open" && element.matches("details, dialog")),
});

const page = () => document.getElementById("page");
const currentUrl = () => location.pathname + location.search;

// --- Live updates ---------------------------------------------------------------------------------------------------

let fetching = false; // a refresh is in progress
let stale = false; // events arrived after the refresh started
let userRequests = 0; // counts the requests of the user: a refresh that started before the last one is outdated
const pending = new Set(); // requests of the user in progress; they take precedence over refreshes

let rows = new Map(); // the HTML of each row at the last refresh, cleared by any other request

/**
 * Replaces rows that did not change since the last refresh by empty placeholders. In a long list most rows are unchanged,
 * and placeholders need not be parsed and compared.
 */
function omitUnchangedRows(text) {
  const last = rows;
  rows = new Map();
  return text.replaceAll(/<!--row-->(<li id="([^"]+)".*?<\/li>)<!--\/row-->/gs, (_, row, id) => {
    rows.set(id, row);
    return last.get(id) === row ? `<li id="${id}" data-same></li>` : row;
  });
}

const morph = (text) => htmx.swap({ sourceElement: page(), target: "#page", select: "#page", swap: "outerMorph", text });

async function refresh() {
  if (!page().dataset.live) return;
  if (fetching || pending.size > 0 || document.hidden) {
    stale = true;
    return;
  }
  fetching = true;
  stale = false;
  const [url, before] = [currentUrl(), userRequests];
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    const text = await response.text();
    if (url !== currentUrl() || before !== userRequests || pending.size > 0) {
      stale = true; // The user navigated to another page in the meantime.
    } else if (response.ok) {
      refreshing = true;
      countNews(text);
      await morph(omitUnchangedRows(text));
      if (page().querySelector("[data-same]")) {
        // A placeholder did not match its row, for example because two IDs are equal after HTML parsing.
        rows.clear();
        await morph(text);
      }
    } else if (response.status === 401) {
      location.reload(); // Shows the sign-in page.
    } else {
      // The item no longer exists. Keep the page with its typed text.
      const html = new DOMParser().parseFromString(text, "text/html");
      showError(html.getElementById("notice")?.textContent ?? `Server responded with ${response.status}.`);
    }
  } catch {
    stale = true; // The event stream is disconnected too, which the status shows.
    rows.clear();
    return;
  } finally {
    fetching = false;
    refreshing = false;
  }
  if (stale) refresh();
}

function showError(text) {
  document.getElementById("notice").replaceChildren(Object.assign(document.createElement("p"), { textContent: text.trim() }));
}

let stream = null;

/** Connects while the tab is visible: browsers allow six connections per origin, and there may be more tabs. */
function connect() {
  if (document.hidden) {
    stream?.close();
    stream = null;
    return showStatus("", "Paused");
  }
  if (stream || !page().dataset.live) return;
  showStatus("", "Connecting…");
  stream = new EventSource(document.body.dataset.liveUrl);
  stream.addEventListener("connected", () => {
    showStatus("is-on", "Live");
    refresh(); // Events may have been missed before the stream was connected.
  });
  stream.addEventListener("happened", ({ data }) => {
    const wanted = (page().dataset.live ?? "").split(" ");
    if (data.split(" ").some((name) => name === "missed" || wanted.includes(name))) refresh();
  });
  stream.addEventListener("error", () => showStatus("is-off", "Disconnected"));
}

function showStatus(state, text) {
  const live = document.getElementById("live");
  live.className = `live ${state}`;
  live.title = { Paused: "The tab is hidden", Disconnected: "Disconnected, reconnecting…" }[text] ?? "";
  if (live.textContent !== text) live.textContent = text;
}

document.addEventListener("htmx:before:request", ({ detail }) => {
  pending.add(detail.ctx);
  userRequests += 1;
  const { sourceElement, request } = detail.ctx;
  // This request is the pending search, or replaces it.
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
  if (ctx && error?.name !== "AbortError") showError("Can't reach the sandbox. Is it still running?");
});
document.addEventListener("visibilitychange", connect);

// --- After a page update --------------------------------------------------------------------------------------------

// A list that is scrolled to its end stays at its end, unless the user scrolls away.
let atEnd = true;
const scrolling = () => document.querySelector("[data-scroll=end]");
let scrolled = null;

function scrollToEnd() {
  const element = scrolling();
  if (element && (atEnd || element.id !== scrolled)) element.scrollTop = element.scrollHeight;
  scrolled = element?.id ?? null;
}

const sent = new WeakMap(); // the form data of each request

// Empty filters are not part of the URL.
document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  sent.set(ctx, new Map(ctx.request.body));
  if (ctx.sourceElement.id !== "filter") return;
  for (const [name, value] of [...ctx.request.body]) if (value === "") ctx.request.body.delete(name);
});

let editing = null; // the timer of a search that is about to be submitted
document.addEventListener("input", ({ target }) => {
  if (target.form?.id !== "filter") return;
  clearTimeout(editing);
  // Text fields wait for more input; other fields submit at once. `requestSubmit` also works before htmx is loaded.
  editing = setTimeout(() => document.getElementById("filter")?.requestSubmit(), target.type === "search" ? 150 : 0);
});

/** Resets the search form to the values of the URL, except for the focused field. */
function resetSearch() {
  if (editing !== null) return;
  const filter = document.getElementById("filter");
  const field = filter?.contains(document.activeElement) ? document.activeElement : {};
  const { value, checked } = field;
  filter?.reset();
  Object.assign(field, { value, checked });
}

/** Clears the fields that still have the value that was sent, and scrolls to the new message. */
function clearComposer(form, sent) {
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
  if (done && request?.method === "POST" && sourceElement.matches?.("form[data-composer]")) clearComposer(sourceElement, sent.get(detail.ctx));
  // A rejected form has a message at each invalid field.
  if (response?.status === 422) document.querySelector("[aria-invalid=true]")?.focus();
  if (done && request) resetSearch();
  if (done) document.getElementById("notice").replaceChildren();
  scrollToEnd();
  connect(); // The previous page may have had no live updates.
});

// --- The clock ------------------------------------------------------------------------------------------------------

let serverTime = null; // the time in the page, and when it was read
setInterval(showClock, 250);

function showClock() {
  const clock = document.getElementById("clock");
  if (serverTime?.text !== clock.dateTime) serverTime = { text: clock.dateTime, at: performance.now() };
  const time = Date.parse(serverTime.text) + (performance.now() - serverTime.at) * Number(clock.dataset.speed);
  if (!Number.isFinite(time) || Math.abs(time) >= 8.64e15) return;
  const text = new Date(time).toISOString();
  const [day, utc] = [text.slice(0, -14), `${text.slice(11, 19)} UTC`];
  const inZone = (words) => (isLocal() ? toLocal(words, new Date(time)) : words);
  clock.textContent = inZone(utc);
  for (const whole of document.querySelectorAll("[data-clock]")) whole.textContent = inZone(`${day} ${text.slice(11, 19)}`);
  for (const element of document.querySelectorAll("time[data-until]")) {
    const countdown = formatCountdown(Math.ceil((Date.parse(element.dateTime) - time) / 1000));
    if (element.textContent !== countdown) element.textContent = countdown;
  }
}

/** Formats a duration in its two largest units, as the server does. */
function formatCountdown(seconds) {
  if (!(seconds > 0)) return "now";
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([unit]) => seconds >= unit);
  let text = "in";
  for (const [unit, name] of units.slice(first, first + 2)) {
    if (seconds >= unit) text += ` ${Math.floor(seconds / unit)} ${name}`;
    seconds %= unit;
  }
  return text;
}

// --- Keyboard shortcuts and buttons ---------------------------------------------------------------------------------

const SETTING = "highlevel-sandbox-single-keys";
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
  if (localStorage.getItem(SETTING) === "off") return;
  if (key === "j" || key === "k") {
    event.preventDefault();
    return openSibling(key === "j" ? 1 : -1);
  }
  if (event.repeat) return;
  const element = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  // The back link is hidden on wide screens, but its shortcut still works.
  if (!element || !(element.checkVisibility() || element.matches(".back"))) return;
  event.preventDefault();
  if (isField(element)) {
    element.focus();
    element.select?.();
  } else {
    element.click();
  }
});

/** Opens the next or previous item of the list. */
function openSibling(offset) {
  const rows = [...document.querySelectorAll("#rows a.row")];
  const open = rows.findIndex((row) => row.hasAttribute("aria-current"));
  const row = rows[open < 0 ? 0 : open + offset];
  if (!row) return;
  // Mark the row before the response arrives, so that the next key press continues from it.
  for (const other of rows) other.removeAttribute("aria-current");
  row.setAttribute("aria-current", "true");
  row.focus();
  row.click();
}

document.addEventListener("click", async ({ target }) => {
  const opener = target.closest?.("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  const copier = target.closest?.("[data-copies]");
  if (!copier) return;
  const copied = await copy(document.getElementById(copier.dataset.copies).textContent);
  showToast(copied ? "Copied" : "Couldn't copy. Select the text and copy it manually.");
});

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // Browsers allow this only on localhost and over https.
  }
}

/** Announces a text to screen readers and shows it for two seconds. */
function showToast(text) {
  const toast = document.getElementById("toast");
  toast.textContent = text;
  toast.classList.remove("visually-hidden");
  clearTimeout(showToast.timer);
  showToast.timer = setTimeout(() => toast.classList.add("visually-hidden"), 2000);
}

document.addEventListener("change", ({ target }) => {
  if (target.id === "single-keys") localStorage.setItem(SETTING, target.checked ? "on" : "off");
});

document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("single-keys").checked = localStorage.getItem(SETTING) !== "off";
  scrollToEnd();
  connect();
});
