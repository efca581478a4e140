// A real Chromium, and pages that notice what must not happen: errors, scripts that are blocked, requests to elsewhere.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const ARGUMENTS = [
  "--no-sandbox", // there is no other user to be, in a container
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", // whatever it tries, it stays here
];

export function startBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
}

/**
 * Opens a page. `page.problems` fills with what goes wrong in it; `check(page)` says that nothing did. `tolerates(text, url)`
 * says of what the console has, and of the page or frame that it is about, whether it has to be so.
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

/** Waits until the page is told what happens. */
export async function live(page) {
  await page.locator("#live.is-on").waitFor();
}

/**
 * Waits until the address is one: that of a page which is put anew changes before what is on it, but the browser tells of
 * it later.
 */
export async function isAt(page, wanted) {
  await page.waitForURL(wanted).catch(() => assert.fail(`the address is ${page.url()}, and not ${wanted}`));
}

/** Waits until the page was painted, and its scripts know what was scrolled. */
export function painted(page) {
  return page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

/** Nothing went wrong in a page. */
export function check(page) {
  assert.deepEqual(page.problems, []);
}
