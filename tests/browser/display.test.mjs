// Titles, the badge for new failures, the theme, and times in UTC or local time.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { check, live, openPage, startBrowser } from "./support/browser.mjs";
import { tell } from "./support/story.mjs";

let browser, story, ui;
before(async () => {
  [browser, story] = await Promise.all([startBrowser(), tell()]);
  ui = story.sandbox.ui;
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await story?.stop();
});

const tolerates = (text) => text.includes("404");

test("titles name what the page shows, and the view", async () => {
  const expected = {
    "": "Conversations · HighLevel sandbox",
    [`/conversations/${story.contact}`]: "Grace Hopper · Conversations",
    "/conversations?text=table": "“table” · Conversations",
    [`/contacts/${story.contact}`]: "Grace Hopper · Contacts",
    [`/requests/${story.refused}`]: "422 POST messages · Requests",
    "/requests": "Requests · HighLevel sandbox",
    "/deliveries": "Webhooks · HighLevel sandbox",
    "/connect": "Connect · HighLevel sandbox",
    "/requests/unknown": "Error · HighLevel sandbox",
  };
  for (const javaScriptEnabled of [true, false]) {
    const page = await openPage(browser, ui, { javaScriptEnabled, tolerates });
    for (const [path, title] of Object.entries(expected)) {
      await page.goto(ui + path);
      assert.equal(await page.title(), title, path);
    }
    await page.goto(`${ui}/deliveries/${story.delivery}`);
    assert.match(await page.title(), new RegExp(`^InboundMessage ${story.delivery}: \\w+ · Webhooks$|^OutboundMessage ${story.delivery}: \\w+ · Webhooks$`));
    check(page);
  }
});

/** Replaces what the browser reports about the visibility of a page. */
const see = (page, hidden) =>
  page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
const icon = (page) => page.locator("#icon").getAttribute("href");

test("failures that arrive while the page is hidden are counted until it is looked at", async () => {
  const { sandbox } = story;
  const page = await openPage(browser, `${ui}/contacts`);
  // The page polls with a timer, which the test controls.
  await page.clock.install();
  await page.reload();
  await page.clock.runFor(100);
  const title = await page.title();
  assert.equal(title, "Contacts · HighLevel sandbox");
  await sandbox.api("GET", "/seen-while-looking");
  await see(page, true);
  await page.clock.runFor(11_000);
  // The failure before the page was hidden arrived when it was looked at, but the view of contacts does not refresh for it.
  const before = Number(/^\((\d+)\) /.exec(await page.title())?.[1] ?? 0);
  assert.ok(before <= 1, `${before} failures`);
  for (const path of ["/one", "/two"]) assert.equal((await sandbox.api("GET", path)).status, 404);
  const counted = page.waitForFunction((title) => document.title === title, `(${before + 2}) ${title}`);
  await page.clock.runFor(11_000);
  await counted;
  assert.match(await icon(page), /icon-failures\.svg/);
  const served = await page.request.get(new URL(await icon(page), ui).href);
  assert.deepEqual([served.status(), served.headers()["content-type"]], [200, "image/svg+xml"]);
  // A success is not counted.
  await sandbox.send({ message: "Fine" });
  await page.clock.runFor(11_000);
  assert.equal(await page.title(), `(${before + 2}) ${title}`);
  await see(page, false);
  assert.equal(await page.title(), title);
  assert.match(await icon(page), /icon\.svg/);
  check(page);
});

for (const javaScriptEnabled of [true, false]) {
  test(`the theme can be selected, scripts ${javaScriptEnabled ? "on" : "off"}`, async () => {
    const path = `/requests?text=messages`;
    const page = await openPage(browser, ui + path, { javaScriptEnabled, colorScheme: "light", tolerates });
    const ground = () => page.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
    const [light, dark] = ["rgb(243, 244, 247)", "rgb(14, 16, 20)"];
    assert.equal(await ground(), light);
    for (const [name, expected] of [["Dark", dark], ["Light", light], ["System", light]]) {
      await page.locator("#display > summary").click();
      const button = page.locator("#theme button", { hasText: name });
      assert.equal(await button.innerText(), name);
      const applied = page.waitForResponse((response) => response.url().endsWith("/appearance"));
      await button.click();
      await applied;
      await page.locator(`html[data-theme=${name.toLowerCase()}]`).waitFor();
      assert.equal(page.url(), ui + path, "the page stays");
      assert.equal(await ground(), expected, name);
      if (!javaScriptEnabled) await page.locator("#display > summary").click();
      await page.getByRole("button", { name: `${name} (current)`, exact: true }).waitFor();
      assert.equal(await page.locator("#theme span:visible").count(), 1);
      await page.reload();
      assert.equal(await ground(), expected, `${name}, reloaded`);
      await page.goto(`${ui}/requests/unknown`);
      assert.equal(await ground(), expected, `${name}, the error page`);
      await page.goto(ui + path);
    }
    await page.emulateMedia({ colorScheme: "dark" });
    assert.equal(await ground(), dark, "the system's theme");
    check(page);
  });
}

test("the borders of fields are as quiet in the dark theme as in the light one, and visible", async () => {
  const ratios = {};
  for (const colorScheme of ["light", "dark"]) {
    const page = await openPage(browser, `${ui}/controls`, { colorScheme });
    ratios[colorScheme] = await page.locator("input[name=url]").first().evaluate((field) => {
      const luminance = (color) => {
        const [red, green, blue] = color.match(/\d+/g).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const { borderTopColor, backgroundColor } = getComputedStyle(field);
      const [low, high] = [luminance(borderTopColor), luminance(backgroundColor)].sort((one, other) => one - other);
      return (high + 0.05) / (low + 0.05);
    });
  }
  for (const ratio of Object.values(ratios)) assert.ok(ratio >= 3 && ratio <= 4.5, JSON.stringify(ratios));
  assert.ok(Math.abs(ratios.light - ratios.dark) < 0.5, JSON.stringify(ratios));
});

test("times are in UTC, or in the time zone of the browser", async () => {
  const path = `/requests/${story.refused}`;
  const page = await openPage(browser, ui + path, { timezoneId: "Asia/Kolkata" });
  const times = () => page.locator("#page time[datetime]:not(#clock)").evaluateAll((all) => all.map((time) => [time.dateTime, time.textContent]));
  const matches = (text, instant, timeZone) => {
    const parts = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" }).format(new Date(instant)).split(" ");
    const found = text.match(/\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d/g);
    assert.ok(found?.every((part) => parts.includes(part)), `${text} is not ${instant} in ${timeZone}`);
  };
  const all = async (timeZone) => {
    const found = await times();
    assert.ok(found.length > 5, `${found.length} times`);
    for (const [instant, text] of found) matches(text, instant, timeZone);
  };
  await live(page);
  await all("UTC");
  const choose = async (name) => {
    await page.locator("#display > summary").click();
    await page.locator("#display .times button", { hasText: name }).click();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#display[open]").count(), 0);
  };
  await choose("Local");
  await all("Asia/Kolkata");
  assert.match(await page.locator("#clock").innerText(), /^\d\d:\d\d:\d\d UTC\+05:30$/);
  // Refreshes and other views keep the choice.
  await story.sandbox.api("GET", "/seen-later");
  await page.getByText("/seen-later").first().waitFor();
  await all("Asia/Kolkata");
  await page.goto(`${ui}/conversations/${story.contact}`);
  await live(page);
  await all("Asia/Kolkata");
  await page.goto(ui + path);
  await choose("UTC");
  await all("UTC");
  assert.match(await page.locator("#clock").innerText(), /^\d\d:\d\d:\d\d UTC$/);
  check(page);
});
