// Live lists: pausing them, rows that arrive while the user reads, and scroll positions.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { check, live, openPage, painted, startBrowser } from "./support/browser.mjs";
import { startSandbox } from "./support/sandbox.mjs";

let browser, sandbox;
before(async () => {
  [browser, sandbox] = await Promise.all([startBrowser(), startSandbox()]);
  for (let number = 0; number < 60; number += 1) await sandbox.api("GET", `/old-${number}`);
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await sandbox?.stop();
});

const rows = (page) => page.locator("#rows > li").evaluateAll((all) => all.map((row) => row.id));
const top = (page) => page.locator("#rows > li").nth(8).evaluate((row) => row.getBoundingClientRect().top);
const news = (page, text) => page.getByRole("button", { name: text, exact: true });

async function happen(count, name) {
  for (let number = 0; number < count; number += 1) await sandbox.api("GET", `/${name}-${number}`);
}

for (const [name, hold] of [
  ["paused", (page) => page.keyboard.press("p")],
  ["scrolled away from its start", (page) => page.locator("#list").evaluate((list) => (list.scrollTop = 120))],
]) {
  test(`new rows do not move a list that is ${name}`, async () => {
    const page = await openPage(browser, `${sandbox.ui}/requests`);
    await live(page);
    await hold(page);
    await painted(page);
    const [before, position] = [await rows(page), await top(page)];
    await happen(3, name.slice(0, 6));
    await news(page, "3 new").waitFor();
    assert.deepEqual(await rows(page), before);
    assert.equal(await top(page), position);
    await news(page, "3 new").click();
    await page.locator("#rows .row-title").getByText(`/${name.slice(0, 6)}-2`).waitFor();
    assert.equal(await page.locator("#news").isVisible(), false);
    const after = await rows(page);
    assert.deepEqual(after.slice(3), before.slice(0, before.length - 3));
    assert.equal(await page.locator("#list").evaluate((list) => list.scrollTop), 0);
    check(page);
  });
}

test("more new rows than the page shows are counted with a plus", async () => {
  const page = await openPage(browser, `${sandbox.ui}/requests`);
  await live(page);
  await page.getByRole("button", { name: "Pause" }).click();
  await happen(55, "many");
  await news(page, "50+ new").waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.locator("#rows .row-title").getByText("/many-54").waitFor();
  assert.equal(await page.getByRole("button", { name: "Pause" }).getAttribute("aria-pressed"), "false");
  await happen(1, "resumed");
  await page.locator("#rows .row-title").getByText("/resumed-0").waitFor();
  check(page);
});

test("scrolling back to the start shows the new rows", async () => {
  const page = await openPage(browser, `${sandbox.ui}/requests`);
  await live(page);
  await page.locator("#list").evaluate((list) => (list.scrollTop = 200));
  await painted(page);
  await happen(2, "back");
  await news(page, "2 new").waitFor();
  await page.locator("#list").evaluate((list) => (list.scrollTop = 0));
  await page.locator("#rows .row-title").getByText("/back-1").waitFor();
  assert.equal(await page.locator("#news").isVisible(), false);
  check(page);
});

test("the open item is refreshed while its list is paused, and another view is not paused", async () => {
  const { contactId } = sandbox.facts;
  const page = await openPage(browser, `${sandbox.ui}/conversations/${contactId}`);
  await live(page);
  await page.getByRole("button", { name: "Pause" }).click();
  await sandbox.send({ message: "While the list is paused" });
  await page.locator(".thread").getByText("While the list is paused").waitFor();
  assert.equal(await page.locator("#rows").getByText("While the list is paused").count(), 0);
  await page.keyboard.press("3");
  await page.getByRole("button", { name: "Pause" }).and(page.locator("[aria-pressed=false]")).waitFor();
  await happen(1, "other-view");
  await page.locator("#rows .row-title").getByText("/other-view-0").waitFor();
  check(page);
});

test("going back shows the open item and both scroll positions", async () => {
  const [{ id }] = (await sandbox.admin("GET", "requests?limit=1")).requests;
  const page = await openPage(browser, `${sandbox.ui}/requests/${id}`);
  await live(page);
  const scroll = (pane, value) => page.locator(pane).evaluate((element, value) => (element.scrollTop = value), value);
  const at = (pane) => page.locator(pane).evaluate((element) => element.scrollTop);
  await scroll("#list", 150);
  await scroll(".detail", 80);
  await painted(page);
  const open = page.locator("#rows a[aria-current]");
  await page.keyboard.press("2");
  await page.locator("nav a[aria-current]", { hasText: "Contacts" }).waitFor();
  await page.goBack();
  await open.waitFor({ state: "attached" });
  assert.match(await open.getAttribute("href"), new RegExp(`${id}$`));
  await page.waitForFunction(() => document.getElementById("list").scrollTop === 150);
  assert.equal(await at(".detail"), 80);
  check(page);
});
