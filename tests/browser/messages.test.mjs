// The timeline of a message: its requests, statuses and webhook attempts, in the order in which they happened.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { check, isAt, live, openPage, startBrowser } from "./support/browser.mjs";
import { startReceiver, startSandbox } from "./support/sandbox.mjs";
import { until } from "./support/story.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

const steps = (page) => page.locator(".timeline > li");
const texts = async (page) => (await steps(page).allInnerTexts()).map((text) => text.replaceAll(/\s+/g, " "));

test("a message is followed from its request to its webhooks, live", async (t) => {
  const responses = [503, 200];
  const receiver = await startReceiver(() => responses.shift() ?? 200);
  t.after(() => receiver.stop());
  const sandbox = await startSandbox("--webhook-url", receiver.url);
  t.after(() => sandbox.stop());
  await sandbox.admin("PATCH", "clock", { speed: 0 });
  await sandbox.admin("PATCH", "webhooks", { retries: "custom", waitsMs: [60_000] });
  const later = () => sandbox.admin("PATCH", "clock", { advanceMs: 1_000 });
  const attempts = (count) => until(async () => (await sandbox.admin("GET", "deliveries")).deliveries.flatMap(({ attempts }) => attempts).length === count);
  const { messageId } = await sandbox.send({ message: "Your table is ready" });
  await attempts(1);
  await sandbox.send({ message: "Another message" });
  await attempts(2);
  const page = await openPage(browser, `${sandbox.ui}/messages/${messageId}`);
  t.after(() => page.context().close());
  await live(page);
  await page.getByText("Your table is ready").waitFor();
  await later();
  await sandbox.admin("PUT", `messages/${messageId}/status`, { status: "delivered" });
  await later();
  await sandbox.api("GET", `/conversations/messages/${messageId}`);
  await sandbox.admin("PATCH", "clock", { advanceMs: 60_000 });
  await until(async () => (await steps(page).count()) === 6);
  const expected = [/^Request 201 POST \/conversations\/messages .*valid/, /^Stored pending/, /^Webhook 503 OutboundMessage .*attempt 1/, /^Status delivered/, /^Read 200 GET \/conversations\/messages\//, /^Webhook 200 OutboundMessage .*attempt 2/];
  await until(async () => (await texts(page)).at(-1).includes("attempt 2"));
  const found = await texts(page);
  expected.forEach((each, index) => assert.match(found[index], each));

  // Each entry opens the item itself.
  await steps(page).first().getByRole("link").click();
  await page.locator("#request h2", { hasText: "201 Created" }).waitFor();
  await page.locator("#details").getByRole("link", { name: messageId }).click();
  await isAt(page, `**/messages/${messageId}`);
  await steps(page).nth(2).getByRole("link").click();
  await page.locator("#attempt-1").waitFor();
  await page.locator(".detail").getByRole("link", { name: messageId }).click();
  await isAt(page, `**/messages/${messageId}`);
  await page.locator("#content").getByRole("link", { name: "Conversation", exact: true }).click();
  await page.locator(`[id="message-${messageId}"] summary`).last().click();
  await page.getByRole("link", { name: "Timeline" }).click();
  await isAt(page, `**/messages/${messageId}`);
  check(page);
});

test("a message that is no longer stored keeps its requests, and an unknown one is an error", async (t) => {
  const sandbox = await startSandbox();
  t.after(() => sandbox.stop());
  const { messageId } = await sandbox.send();
  await sandbox.admin("DELETE", `messages/${messageId}`);
  const page = await openPage(browser, `${sandbox.ui}/messages/${messageId}`, { tolerates: (text) => text.includes("404") });
  t.after(() => page.context().close());
  await page.getByText("no longer stored").waitFor();
  assert.equal(await steps(page).count(), 1);
  await page.goto(`${sandbox.ui}/messages/unknown`);
  await page.getByRole("alert").getByText("message unknown not found").waitFor();
  check(page);
});
