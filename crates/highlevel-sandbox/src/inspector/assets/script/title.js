
// --- Failures that arrived since the page was last looked at --------------------------------------------------------

const POLL = 10_000; // milliseconds between two requests of a page that is hidden or has no focus
let failuresSeen = null; // the count when the page was last looked at
const isLookedAt = () => !document.hidden && document.hasFocus();

/** Shows the number of new failures in the title and as a badge of the icon. */
function showFailures(count) {
  if (!Number.isSafeInteger(count)) return;
  // The count is smaller after a restart of the sandbox.
  if (failuresSeen === null || isLookedAt() || count < failuresSeen) failuresSeen = count;
  const news = count - failuresSeen;
  const title = `${news > 0 ? `(${news}) ` : ""}${page().dataset.title}`;
  if (document.title !== title) document.title = title;
  const icon = document.getElementById("icon");
  const wanted = news > 0 ? icon.dataset.failures : icon.dataset.normal;
  if (icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
}

const failuresOfPage = () => showFailures(Number.parseInt(page().dataset.failures ?? "", 10));

/** Updates the count while the page has no live updates, or shows a view that other events refresh. */
async function pollFailures() {
  if (isLookedAt() || page().dataset.failures === undefined) return;
  try {
    const response = await fetch(`${document.body.dataset.liveUrl}/failures`);
    if (response.ok) showFailures(Number.parseInt(await response.text(), 10));
  } catch {
    // The sandbox is stopped; the next request may reach it.
  }
}

setInterval(pollFailures, POLL);
document.addEventListener("DOMContentLoaded", failuresOfPage);
document.addEventListener("htmx:after:swap", failuresOfPage);
document.addEventListener("visibilitychange", failuresOfPage);
addEventListener("focus", failuresOfPage);
