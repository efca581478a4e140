// The parts of all views: tabs, live status, clock, help and shortcuts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { check, live, openPage, startBrowser } from "./support/browser.mjs";
import { startSandbox } from "./support/sandbox.mjs";

let browser, sandbox;
before(async () => {
  [browser, sandbox] = await Promise.all([startBrowser(), startSandbox()]);
});
after(async () => {
  await browser.close();
  await sandbox.stop();
});

test("the program prints the URL of the inspector first", () => {
  const addresses = sandbox.lines.filter((line) => line.includes("http://"));
  assert.match(addresses[0], /inspector +http:\/\/127\.0\.0\.1:\d+\/_sandbox\/ui$/);
});

test("a new message is shown without a reload", async () => {
  const page = await openPage(browser, sandbox.ui);
  await live(page);
  await sandbox.send({ message: "Seen at once" });
  await page.getByRole("link", { name: "Seen at once" }).click();
  await page.locator(".thread").getByText("Seen at once").waitFor();
  check(page);
});

test("number keys open the tabs", async () => {
  const page = await openPage(browser, sandbox.ui);
  for (const [key, name] of [["2", "Contacts"], ["3", "Requests"], ["4", "Webhooks"], ["5", "Simulation"], ["1", "Conversations"]]) {
    await page.keyboard.press(key);
    await page.locator("nav a[aria-current=page]", { hasText: name }).waitFor();
  }
  check(page);
});

test("a search uses the last input, and is part of the URL", async () => {
  const page = await openPage(browser, `${sandbox.ui}/requests`);
  await live(page);
  await page.getByRole("searchbox", { name: "Text" }).pressSequentially("nothing has this", { delay: 5 });
  await page.getByRole("checkbox", { name: "Failures only" }).focus();
  await page.keyboard.press("f");
  await page.waitForURL("**/requests?text=nothing+has+this&failures=1");
  await page.getByText("No requests match these filters").waitFor();
  assert.equal(await page.getByRole("checkbox", { name: "Failures only" }).isChecked(), true);
  assert.equal(await page.getByRole("searchbox", { name: "Text" }).inputValue(), "nothing has this");
  check(page);
});

test("a search is submitted even if events arrive while typing", async () => {
  const page = await openPage(browser, `${sandbox.ui}/requests`);
  await live(page);
  for (let word = 0; word < 10; word += 1) {
    const events = [1, 2, 3].map(() => sandbox.send({ message: "Meanwhile" }));
    await page.getByRole("searchbox", { name: "Text" }).fill(`word ${word}`);
    await Promise.all(events);
    await page.waitForURL(`**/requests?text=word+${word}`);
  }
  check(page);
});

test("a filter selected before the scripts are loaded is applied", async () => {
  const page = await openPage(browser, sandbox.ui);
  await page.addInitScript(() => {
    // Before htmx is initialised.
    document.addEventListener("DOMContentLoaded", () => {
      if (!location.search) document.querySelector("#filter [name=failures]").click();
    });
  });
  await page.goto(`${sandbox.ui}/requests`);
  await page.waitForURL(/failures=1/);
  await live(page);
  assert.equal(await page.getByRole("checkbox", { name: "Failures only" }).isChecked(), true);
  check(page);
});

test("a hidden page is disconnected, and is refreshed when it is visible", async () => {
  const page = await openPage(browser, sandbox.ui);
  await live(page);
  const see = (hidden) =>
    page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { value, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  await see(true);
  await page.locator("#live", { hasText: "Paused" }).waitFor();
  await sandbox.send({ message: "While the page was hidden" });
  const other = await openPage(browser, sandbox.ui);
  await live(other);
  await sandbox.send({ message: "And one more" });
  await other.getByText("And one more").first().waitFor(); // The visible page has received the event.
  assert.equal(await page.getByText("While the page was hidden").count(), 0);
  await see(false);
  await page.getByText("And one more").first().waitFor();
  check(page);
});

test("errors and input are preserved by refreshes", async () => {
  const page = await openPage(browser, `${sandbox.ui}/conversations/${sandbox.facts.contactId}`);
  await live(page);
  await page.route("**/conversations/**", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()));
  await page.getByPlaceholder("Write a message").fill("Not lost");
  await page.getByRole("button", { name: "Send" }).click();
  const notice = page.getByRole("alert").filter({ hasText: "Can't reach the sandbox" });
  await notice.waitFor();
  await sandbox.send({ message: "Something else" });
  await page.locator(".thread").getByText("Something else").waitFor();
  assert.equal(await notice.isVisible(), true);
  assert.equal(await page.getByPlaceholder("Write a message").inputValue(), "Not lost");
  await page.unroute("**/conversations/**");
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator(".thread").getByText("Not lost").waitFor();
  assert.equal(await notice.count(), 0);
});

test("a selection whose request failed is reverted by the next refresh", async () => {
  for (const message of ["First", "Second"]) await sandbox.send({ message });
  const [{ id }] = (await sandbox.admin("GET", "requests?limit=1")).requests;
  const page = await openPage(browser, `${sandbox.ui}/requests/${id}`);
  await live(page);
  const current = (address) => page.locator(`#rows a.row[aria-current][href$="${address}"]`);
  await current(id).waitFor();
  // The HTML of the rows does not change, so placeholders must not preserve the wrong selection.
  await sandbox.api("GET", "/Before.");
  await page.locator("#rows .row-title").getByText("/Before.").waitFor();
  await page.route("**/requests/**", (route) => route.abort());
  await page.keyboard.press("j");
  await page.getByRole("alert").filter({ hasText: "Can't reach the sandbox" }).waitFor();
  assert.equal(await current(id).count(), 0);
  await page.unroute("**/requests/**");
  await sandbox.api("GET", "/After.");
  await page.locator("#rows .row-title").getByText("/After.").waitFor();
  await current(id).waitFor();
  assert.equal(await page.locator("#rows a.row[aria-current]").count(), 1);
});

test("unchanged rows are replaced by placeholders", async (t) => {
  const delivering = await startSandbox("--webhook-url", "http://127.0.0.1:9/");
  t.after(() => delivering.stop());
  const { messageId } = await delivering.send();
  const page = await openPage(browser, delivering.ui);
  for (const path of ["", `/conversations/${delivering.facts.contactId}`, "/contacts", "/requests", "/deliveries"]) {
    await page.goto(delivering.ui + path);
    const [whole, again] = await page.evaluate(async () => {
      const text = await (await fetch(location.href)).text();
      omitUnchangedRows(text);
      const rows = (text) => [...new DOMParser().parseFromString(text, "text/html").querySelectorAll("#rows > li, .thread > li:not(.day)")];
      return [rows(text), rows(omitUnchangedRows(text))].map((rows) => rows.map((row) => [row.id, row.matches("[data-same]:empty")]));
    });
    assert.ok(whole.length > 0, path);
    assert.deepEqual(again, whole.map(([id]) => [id, true]), path);
    assert.ok(whole.every(([, same]) => !same), path);
    if (path.includes("/conversations/")) assert.ok(whole.some(([id]) => id === `message-${messageId}`));
  }
  check(page);
});

test("rows whose IDs are equal after HTML parsing are preserved", async () => {
  const ids = { "line\r": "Ends with a return", "line\n": "Ends with a line feed" };
  for (const [id, name] of Object.entries(ids)) await sandbox.admin("PUT", `contacts/${encodeURIComponent(id)}`, { name });
  const page = await openPage(browser, sandbox.ui);
  await live(page);
  for (let count = 0; count < 4; count += 1) {
    await sandbox.send({ message: `Beside it ${count}` });
    await page.locator("#rows").getByText(`Beside it ${count}`).waitFor();
    for (const name of Object.values(ids)) assert.equal(await page.locator("#rows .row-title", { hasText: name }).count(), 1, name);
  }
  assert.equal(await page.locator("#rows li:empty").count(), 0);
  check(page);
});

test("live updates start after navigating away from an error page", async () => {
  const page = await openPage(browser, `${sandbox.ui}/requests/none`);
  await page.getByRole("alert").filter({ hasText: "request none not found" }).waitFor();
  await page.keyboard.press("1");
  await live(page);
  await sandbox.send({ message: "After an error" });
  await page.getByText("After an error").first().waitFor();
});
