
// --- Lists: pause, new rows, and scroll positions -------------------------------------------------------------------

let paused = false;
let releasing = false; // the next refresh updates the list even if it is held
const list = () => document.getElementById("list");
/** Returns `true` if refreshes must not move the rows, because the user paused the list or scrolled away from its start. */
const isHeld = () => list() !== null && !releasing && (paused || list().scrollTop > 8);
const unescaped = (id) => (id.includes("&") ? new DOMParser().parseFromString(id, "text/html").body.textContent : id);

/** Counts the rows of a new page that come before the first row of a held list. */
function countNews(html) {
  if (!isHeld()) return showNews(0);
  const start = html.indexOf('id="rows"');
  const section = html.slice(start, html.indexOf('class="detail"', start));
  const ids = [...section.matchAll(/<!--row--><li id="([^"]+)"/g)].map(([, id]) => unescaped(id));
  const first = document.querySelector("#rows > li:not(.day)")?.id;
  const count = ids.indexOf(first);
  showNews(count < 0 ? ids.length : count, count < 0 ? "+" : "");
}

function showNews(count, more = "") {
  const button = document.getElementById("news");
  if (!button) return;
  button.hidden = count === 0;
  button.textContent = `${count}${more} new`;
}

function showPause() {
  const button = document.getElementById("pause");
  if (!button) return;
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? "Resume" : "Pause";
}

/** Shows the rows that were held back. */
function release() {
  showNews(0);
  releasing = true;
  rows.clear();
  refresh();
}

document.addEventListener("click", ({ target }) => {
  if (target.id === "pause") {
    paused = !paused;
    showPause();
    if (!isHeld()) release();
  } else if (target.id === "news") {
    list().scrollTop = 0;
    release();
  }
});

// Positions are kept by URL, because going back leads to the same URL.
const positions = new Map();
const PANES = ["#list", ".detail"];
let returning = null; // the positions of the page that the user returns to
const positionsOf = (url) => PANES.map((pane) => positions.get(`${pane} ${url}`));

document.addEventListener(
  "scroll",
  ({ target }) => {
    const pane = PANES.find((each) => target.matches?.(each));
    if (!pane || returning) return;
    positions.set(`${pane} ${currentUrl()}`, target.scrollTop);
    if (pane === "#list" && !document.getElementById("news")?.hidden && !isHeld()) release();
  },
  true,
);
addEventListener("popstate", () => (returning = positionsOf(currentUrl())));
document.addEventListener("click", ({ target }) => {
  const back = target.closest?.(".detail-head > .back");
  if (back) returning = positionsOf(back.pathname + back.search);
});

let view = null; // the tab of the last page
function showView() {
  const tab = document.querySelector(".tabs [aria-current]");
  if (view === tab?.pathname) return;
  view = tab?.pathname;
  paused = false;
  // Narrow screens do not show all tabs.
  const tabs = tab?.parentElement;
  if (tabs && tabs.scrollWidth > tabs.clientWidth) tabs.scrollLeft = tab.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
}

document.addEventListener("DOMContentLoaded", showView);
document.addEventListener("htmx:after:swap", ({ detail }) => {
  const isRefresh = refreshing;
  if (isRefresh && !isHeld()) releasing = false;
  showView();
  showPause();
  if (isRefresh) return;
  showNews(0); // The whole list was replaced.
  if (!returning || detail.ctx.response?.status >= 400) return;
  for (const [index, pane] of PANES.entries()) {
    const element = document.querySelector(pane);
    if (element && returning[index] !== undefined) element.scrollTop = returning[index];
  }
  returning = null;
});
