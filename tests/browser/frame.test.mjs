// What all views have: tabs, the live mark, the clock, help, keys.
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

test("the address of the inspector is what the program prints first", () => {
  const addresses = sandbox.lines.filter((line) => line.includes("http://"));
  assert.match(addresses[0], /inspector +http:\/\/127\.0\.0\.1:\d+\/_sandbox\/ui$/);
});

test("a message is on the screen without reloading", async () => {
  const page = await openPage(browser, sandbox.ui);
  await live(page);
  await sandbox.send({ message: "Seen at once" });
  await page.getByRole("link", { name: "Seen at once" }).click();
  await page.locator(".thread").getByText("Seen at once").waitFor();
  check(page);
});

test("views are opened by their number", async () => {
  const page = await openPage(browser, sandbox.ui);
  for (const [key, name] of [["2", "Requests"], ["3", "Deliveries"], ["4", "Faults & clock"], ["1", "Conversations"]]) {
    await page.keyboard.press(key);
    await page.locator("nav a[aria-current=page]", { hasText: name }).waitFor();
  }
  check(page);
});
