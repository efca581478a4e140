// Starts Chromium and opens pages that record errors, blocked scripts and requests to other origins.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const ARGUMENTS = [
  "--no-sandbox", // containers run as root
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", // no requests leave this machine
];

export function startBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
}

/**
 * Opens a page. `page.problems` collects its errors; `check(page)` asserts that there are none. `tolerates(text, url)`
 * returns `true` for console messages that are expected, given the URL of the page or frame.
 */
export async function openPage(browser, url, { tolerates = () => false, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const { origin } = new URL(url);
  page.problems = [];
  page.setDefaultTimeout(10_000);
  page.on("pageerror", (error) => page.problems.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    page.problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() !== "error" || tolerates(message.text(), message.location().url)) return;
    page.problems.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const target = new URL(request.url());
    if (target.origin !== origin && target.protocol !== "data:" && target.protocol !== "about:") {
      page.problems.push(`request to ${request.url()}`);
    }
  });
  await page.goto(url);
  return page;
}

/** Waits until live updates are connected. */
export async function live(page) {
  await page.locator("#live.is-on").waitFor();
}

/**
 * Waits until the URL matches. The URL changes before the content of the page, but the browser reports it
 * later.
 */
export async function isAt(page, wanted) {
  await page.waitForURL(wanted).catch(() => assert.fail(`the URL is ${page.url()}, expected ${wanted}`));
}

/** Waits until the page is painted and its scroll events are handled. */
export function painted(page) {
  return page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

/** Asserts that a page has no errors. */
export function check(page) {
  assert.deepEqual(page.problems, []);
}
