// Accessibility of every view: WCAG 2.2 AA rules checked by axe, both colour schemes, three widths, keyboard and screen
// reader announcements.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, describe, test } from "node:test";

import { check, live, openPage, startBrowser } from "./support/browser.mjs";
import { startSandbox } from "./support/sandbox.mjs";
import { tell } from "./support/story.mjs";

const AXE = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const WIDTHS = [360, 1280, 2560];

let browser, story, views;
before(async () => {
  [browser, story] = await Promise.all([startBrowser(), tell()]);
  views = {
    "conversations, none open": "/conversations",
    "a conversation": `/conversations/${story.contact}`,
    "a search without a result": "/conversations?text=nothing-has-this",
    "contacts, none open": "/contacts",
    "a contact": `/contacts/${story.contact}`,
    "a new contact": "/new-contact",
    "a contact to edit": `/contacts/${story.contact}/edit`,
    connect: "/connect",
    "the timeline of a message": `/messages/${story.message}`,
    "requests, none open": "/requests",
    "a refused request": `/requests/${story.refused}`,
    "a message sent twice": `/requests/${story.twice}`,
    "deliveries, none open": "/deliveries",
    "a delivery": `/deliveries/${story.delivery}`,
    controls: "/controls",
    "a problem": "/conversations/unknown",
  };
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await story?.stop();
});

const tolerates = (text) => text.includes("404");
const open = (path, options) => openPage(browser, story.sandbox.ui + path, { tolerates, ...options });
const unfold = (page) => page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));

/** Returns the violations that axe reports, one line per element. */
async function violations(page) {
  // Evaluated by the debugger, to which the page's policy does not apply. Frames contain untrusted content.
  await page.evaluate(AXE);
  const results = await page.evaluate((values) => axe.run(document, { runOnly: { type: "tag", values }, iframes: false, resultTypes: ["violations"] }), RULES);
  return results.violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, any }) => `${id}: ${help}: ${target} ${any[0]?.message ?? ""}`));
}

for (const colorScheme of ["light", "dark"]) {
  for (const width of WIDTHS) {
    test(`axe finds nothing: ${colorScheme}, ${width} px`, { timeout: 300_000 }, async () => {
      const found = [];
      const page = await open("", { colorScheme, viewport: { width, height: width === 360 ? 740 : 1000 } });
      for (const [name, path] of Object.entries(views)) {
        await page.goto(story.sandbox.ui + path);
        await unfold(page);
        found.push(...(await violations(page)).map((violation) => `${name}: ${violation}`));
      }
      await page.getByRole("button", { name: "Shortcuts" }).click();
      found.push(...(await violations(page)).map((violation) => `help: ${violation}`));
      assert.deepEqual(found, []);
      check(page);
    });
  }
}

describe("no content is cut off, and the page scrolls in one direction only", () => {
  for (const width of WIDTHS) {
    test(`${width} px`, async () => {
      const page = await open("", { viewport: { width, height: 800 } });
      for (const [name, path] of Object.entries(views)) {
        await page.goto(story.sandbox.ui + path);
        await unfold(page);
        const beyond = await page.evaluate(() => {
          const found = [];
          const scrolls = document.documentElement.scrollWidth - innerWidth;
          if (scrolls > 0) found.push(`the page is ${scrolls} px too wide`);
          for (const element of document.querySelectorAll("main, main :is(a, button, input, select, textarea, h2, h3, p, li, dd, label, summary), header :is(a, button)")) {
            const { left, right, width } = element.getBoundingClientRect();
            // Scroll containers and visually hidden elements may overflow.
            if (width <= 1 || element.closest(".visually-hidden, pre, .json, .tabs, .skip, [hidden], table")) continue;
            if (left < -1 || right > innerWidth + 1) found.push(`${element.localName}.${element.className} ${Math.round(left)} to ${Math.round(right)}: ${element.textContent.trim().slice(0, 40)}`);
          }
          for (const element of document.querySelectorAll("button, summary, nav a")) {
            const { width, height } = element.getBoundingClientRect();
            if (width > 1 && element.scrollWidth > Math.ceil(width) + 1) found.push(`the words of ${element.textContent.trim()} are cut`);
            if (width > 1 && Math.min(width, height) < 24) found.push(`${element.textContent.trim()} is too small a target`);
          }
          return found;
        });
        assert.deepEqual(beyond, [], name);
      }
      check(page);
    });
  }
});

test("Tab visits all controls in document order with a visible focus", async () => {
  for (const path of [views["a conversation"], views["a contact"], views["a contact to edit"], views["a refused request"], views["a delivery"], views.controls]) {
    const page = await open(path);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content", "the first is a way past the tabs");
    const seen = new Set();
    let last = null;
    for (let count = 0; count < 250; count += 1) {
      const at = await page.evaluate(() => {
        const element = document.activeElement;
        if (element === document.body) return null;
        // Not stored in an attribute, because a refresh would remove it.
        window.visited ??= new Map();
        if (!window.visited.has(element)) window.visited.set(element, window.visited.size);
        const style = getComputedStyle(element);
        const { width, height } = element.getBoundingClientRect();
        const all = [...document.querySelectorAll("*")];
        return {
          visited: window.visited.get(element),
          name: `${element.localName} ${(element.getAttribute("aria-label") ?? element.textContent).trim().slice(0, 30)}`,
          place: all.indexOf(element),
          isSeen: element.localName === "iframe" || (width > 0 && height > 0 && (style.outlineStyle !== "none" || style.boxShadow !== "none")),
        };
      });
      if (at === null || seen.has(at.visited)) break;
      seen.add(at.visited);
      assert.ok(at.isSeen, `${path}: the focus on ${at.name} is not seen`);
      if (last) assert.ok(at.place > last.place, `${path}: from ${last.name} back to ${at.name}`);
      last = at;
      await page.keyboard.press("Tab");
    }
    assert.ok(seen.size > 10, `${path}: ${seen.size} things have the focus`);
    await page.context().close();
  }
});

test("the skip link leads to the content", async () => {
  const page = await open(views.controls);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
});

test("screen readers announce the user's actions, but not every event", async (t) => {
  const sandbox = await startSandbox();
  t.after(() => sandbox.stop());
  const page = await openPage(browser, `${sandbox.ui}/conversations/${sandbox.facts.contactId}`, { tolerates: (text) => text.includes("400") || text.includes("422") });
  await live(page);
  await page.evaluate(() => {
    window.told = [];
    const regions = document.querySelectorAll("[aria-live], [role=status], [role=alert]");
    const tell = (region) => window.told.push(region.textContent.trim());
    for (const region of regions) new MutationObserver(() => tell(region)).observe(region, { childList: true, characterData: true, subtree: true });
  });
  for (let count = 0; count < 20; count += 1) await sandbox.send({ message: `Message ${count}` });
  await page.locator(".thread").getByText("Message 19", { exact: true }).waitFor();
  assert.deepEqual(await page.evaluate(() => window.told), [], "twenty messages are no announcement each");
  await page.goto(`${sandbox.ui}/controls`);
  await page.locator("input[name=url]").first().fill("ftp://nowhere");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("Error:").waitFor();
});

test("headings and titles are present, and enlarged text fits", async () => {
  // Zooming to 200 % halves the width.
  const page = await open(views["a refused request"], { viewport: { width: 640, height: 400 } });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  for (const heading of await page.locator("h1").all()) assert.notEqual(await heading.textContent(), "");
  assert.equal(await page.locator("h1").count(), 1);
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  const titles = [];
  for (const path of Object.values(views)) {
    await page.goto(story.sandbox.ui + path);
    titles.push(await page.title());
  }
  assert.ok(new Set(titles).size >= 5, titles.join("; "));
});

test("reduced motion disables all animations", async () => {
  const page = await open(views["a conversation"], { reducedMotion: "reduce" });
  await live(page);
  const moving = await page.evaluate(() => [...document.querySelectorAll("*")].filter((element) => getComputedStyle(element).animationName !== "none" || getComputedStyle(element).transitionDuration !== "0s").length);
  assert.equal(moving, 0);
});
