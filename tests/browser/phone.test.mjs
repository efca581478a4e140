// The inspector on phones: nothing is cut, filters and composer are folded, and the open tab is visible.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { check, live, openPage, startBrowser } from "./support/browser.mjs";
import { tell } from "./support/story.mjs";

let browser, story, ui, views;
before(async () => {
  [browser, story] = await Promise.all([startBrowser(), tell()]);
  ui = story.sandbox.ui;
  await story.sandbox.admin("PUT", "contacts/long", { name: "Wolfeschlegelsteinhausenbergerdorff ".repeat(3), email: `${"a-very-long-mailbox".repeat(4)}@example.com` });
  await story.sandbox.send({ contactId: "long", message: `https://example.com/${"a".repeat(300)}` });
  const page = await openPage(browser, ui);
  const tabs = await page.locator(".tabs a").evaluateAll((links) => links.map((link) => new URL(link.href).pathname));
  await page.context().close();
  const root = new URL(ui).pathname;
  // All tabs, also those that are added later, and the open items.
  views = [...tabs.map((path) => path.slice(root.length)), "/connect", `/conversations/${story.contact}`, "/conversations/long", "/conversations?text=nothing-has-this", `/contacts/${story.contact}`, "/contacts/long", "/new-contact", `/contacts/${story.contact}/edit`, `/messages/${story.message}`, `/requests/${story.refused}`, `/requests/${story.twice}`, `/deliveries/${story.delivery}`, "/requests/unknown"];
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await story?.stop();
});

const tolerates = (text) => text.includes("404");
const phone = (path, width = 390, options = {}) => openPage(browser, ui + path, { viewport: { width, height: 800 }, hasTouch: true, tolerates, ...options });
const unfold = (page) => page.evaluate(() => document.querySelectorAll("main details").forEach((details) => (details.open = true)));

/** Returns the elements that are wider than the window, and those whose text is cut. */
const cut = (page) =>
  page.evaluate(() => {
    const found = [];
    const name = (element) => `${element.localName}${element.id && `#${element.id}`}.${element.className}: ${element.textContent.trim().slice(0, 60)}`;
    if (document.documentElement.scrollWidth > innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
    const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
    const isInScroller = (element) => {
      for (let outer = element.parentElement; outer && outer.id !== "page"; outer = outer.parentElement) if (scrolls(outer) && outer.scrollWidth > outer.clientWidth) return outer;
      return null;
    };
    for (const element of document.querySelectorAll("#page *")) {
      if (!element.checkVisibility() || element.closest(".visually-hidden, .html, svg")) continue;
      const { left, right, width } = element.getBoundingClientRect();
      if (width <= 1) continue;
      // Only the tabs may be scrolled sideways.
      const scroller = isInScroller(element);
      if (scroller && !scroller.matches(".tabs, pre, .json")) found.push(`${name(scroller)} is scrolled sideways`);
      if (!scroller && (left < -1 || right > innerWidth + 1)) found.push(`${Math.round(left)} to ${Math.round(right)}: ${name(element)}`);
      for (const text of scroller || element.closest(".row") ? [] : element.childNodes) {
        if (text.nodeType !== Node.TEXT_NODE) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        if ([...range.getClientRects()].some((part) => part.right > innerWidth + 1)) found.push(`text beyond the window: ${name(element)}`);
      }
      // Fields scroll to the caret.
      if (element.matches("input, textarea")) continue;
      const { overflowX, textOverflow, display } = getComputedStyle(element);
      // Rows of a list end with an ellipsis; opening them shows the whole text.
      const isShortened = textOverflow === "ellipsis" && element.closest(".row");
      if (display !== "inline" && element.scrollWidth > element.clientWidth + 1 && overflowX !== "visible" && !scrolls(element) && !isShortened) found.push(`cut: ${name(element)}`);
      if (element.matches("button, summary, .button, select, .badge, .status") && element.scrollWidth > Math.ceil(width) + 1) found.push(`cut: ${name(element)}`);
    }
    return [...new Set(found)];
  });

for (const width of [360, 390, 430]) {
  test(`nothing is cut at ${width} px`, async () => {
    const page = await phone("", width);
    const found = [];
    for (const view of views) {
      await page.goto(ui + view);
      found.push(...(await cut(page)).map((each) => `${view}: ${each}`));
      await unfold(page);
      found.push(...(await cut(page)).map((each) => `${view}, unfolded: ${each}`));
    }
    assert.deepEqual(found, []);
    check(page);
  });
}

test("the check finds what is too wide or cut", async () => {
  const page = await phone("/requests");
  await page.route("**/live", (route) => route.abort()); // A refresh would undo the changes.
  for (const change of [
    () => document.querySelector("main").append(Object.assign(document.createElement("p"), { textContent: "x".repeat(200) })),
    () => (document.querySelector("#list").style.cssText = "width: 500px"),
    () => (document.querySelector(".brand").style.cssText = "width: 2px; overflow: hidden"),
  ]) {
    await page.goto(`${ui}/requests`);
    assert.deepEqual(await cut(page), []);
    await page.evaluate(change);
    assert.notDeepEqual(await cut(page), [], String(change));
  }
});

test("the tab of the view is visible", async () => {
  const page = await phone("", 360);
  const visible = () =>
    page.evaluate(() => {
      const tab = document.querySelector(".tabs [aria-current]").getBoundingClientRect();
      return tab.left >= -1 && tab.right <= innerWidth + 1;
    });
  for (const tab of await page.locator(".tabs a").all()) {
    const name = await tab.innerText();
    await page.goto((await tab.evaluate((link) => link.href)));
    assert.equal(await page.locator(".tabs [aria-current]").innerText(), name);
    assert.ok(await visible(), name);
  }
  // Also if the page is not reloaded.
  await page.goto(ui);
  await page.locator(".tabs a").last().evaluate((link) => link.click());
  await page.locator(".tabs a:last-child[aria-current]").waitFor();
  assert.ok(await visible());
});

for (const javaScriptEnabled of [true, false]) {
  test(`one button opens the filters, scripts ${javaScriptEnabled ? "on" : "off"}`, async () => {
    const page = await phone("/requests", 390, { javaScriptEnabled });
    const status = page.getByRole("combobox", { name: "Status" });
    await page.getByRole("searchbox", { name: "Text" }).waitFor();
    assert.equal(await status.isVisible(), false);
    await page.locator("#filters > summary").click();
    await status.selectOption("422");
    if (!javaScriptEnabled) await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/status=422/);
    await page.locator("#filters > summary", { hasText: "active" }).waitFor();
    check(page);
  });
}

test("wide screens show all filters", async () => {
  for (const javaScriptEnabled of [true, false]) {
    const page = await openPage(browser, `${ui}/requests`, { javaScriptEnabled });
    assert.equal(await page.getByRole("combobox", { name: "Status" }).isVisible(), true);
    assert.equal(await page.locator("#filters > summary").isVisible(), false);
    check(page);
  }
});

test("the composer is one line until it is used", async () => {
  const page = await phone(`/conversations/${story.contact}`);
  await live(page);
  const composer = page.locator(".composer");
  const height = async () => (await composer.boundingBox()).height;
  assert.ok((await height()) < 72, `${await height()} px`);
  await page.getByPlaceholder("Write a message").tap();
  await page.getByLabel("From business (outbound)").tap();
  assert.equal(await page.getByLabel("From business (outbound)").isChecked(), true);
  await page.getByPlaceholder("Write a message").fill("From a phone");
  await page.getByRole("button", { name: "Send" }).tap();
  await page.locator(".message.outbound").getByText("From a phone").waitFor();
  await page.locator(".thread").tap({ position: { x: 2, y: 2 } });
  await page.waitForFunction(() => document.querySelector(".composer").getBoundingClientRect().height < 72);
  // Text that was not sent stays visible with its channel.
  await page.getByPlaceholder("Write a message").fill("A draft");
  await page.locator(".thread").tap({ position: { x: 2, y: 2 } });
  assert.ok((await height()) > 72);
  check(page);
});

test("going back shows the list where it was", async () => {
  // Lower than the list, so that it scrolls.
  const page = await phone("/requests", 390, { viewport: { width: 390, height: 480 } });
  await live(page);
  const list = page.locator("#list");
  await list.evaluate((element) => (element.scrollTop = 90));
  await page.waitForFunction(() => positions.get(`#list ${currentUrl()}`) === 90);
  const row = page.locator("#rows a.row").nth(8);
  const href = await row.getAttribute("href");
  for (const back of [() => page.goBack(), () => page.locator(".back").click()]) {
    await page.locator(`#rows a.row[href="${href}"]`).click();
    await page.locator(".request-head").waitFor();
    await back();
    await page.locator(".panes:not(.is-open)").waitFor();
    await page.waitForFunction(() => document.getElementById("list").scrollTop === 90);
  }
  check(page);
});
