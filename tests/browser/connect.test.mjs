// The Connect panel: its values connect a program, and its steps follow what the program does.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { check, isAt, live, openPage, startBrowser } from "./support/browser.mjs";
import { startReceiver, startSandbox } from "./support/sandbox.mjs";
import { until } from "./support/story.mjs";

const run = promisify(execFile);
let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

async function open(t, path, options = {}) {
  const sandbox = await startSandbox();
  t.after(() => sandbox.stop());
  const page = await openPage(browser, sandbox.ui + path, options);
  t.after(() => page.context().close());
  return { sandbox, page };
}

const text = (page, id) => page.locator(`#connect-${id}`).evaluate((element) => element.textContent);
const step = (page, name) => page.locator(".steps > li", { has: page.getByRole("heading", { name }) });
const isDone = (page, name) => step(page, name).evaluate((element) => element.classList.contains("is-done"));

test("each view shows the panel until a program is connected, and the header leads to it", async (t) => {
  const { sandbox, page } = await open(t, "");
  const heading = page.locator("h2", { hasText: "Connect your program" });
  for (const view of ["", "/conversations", "/contacts", "/requests", "/deliveries"]) {
    await page.goto(sandbox.ui + view);
    await heading.waitFor();
  }
  await page.goto(`${sandbox.ui}/requests`);
  await live(page);
  await sandbox.send();
  await page.getByText("Select a request to see its details.").waitFor();
  for (const [view, name] of [["conversations", "conversation"], ["contacts", "contact"]]) {
    await page.goto(`${sandbox.ui}/${view}`);
    await page.getByText(`Select a ${name}.`).waitFor();
  }
  await page.getByRole("link", { name: "Connect", exact: true }).click();
  await isAt(page, "**/connect");
  await heading.waitFor();
  check(page);
});

test("the panel has the values that the program prints, and masks secrets", async (t) => {
  const { sandbox, page } = await open(t, "/connect", { permissions: ["clipboard-read", "clipboard-write"] });
  const { facts } = sandbox;
  const expected = {
    base: facts.baseUrl, token: facts.token, location: facts.locationId, contact: facts.contactId, conversation: facts.conversationId,
    provider: facts.providerIds.sms, "email-provider": facts.providerIds.email, "call-provider": facts.providerIds.call,
    app: facts.appId, client: facts.clientId, secret: facts.clientSecret,
  };
  for (const [id, value] of Object.entries(expected)) assert.equal(await text(page, id), value, id);
  const env = Object.fromEntries((await text(page, "env")).trim().split("\n").map((line) => line.split(/=(.*)/s)));
  assert.deepEqual(
    [env.HIGHLEVEL_BASE_URL, env.HIGHLEVEL_TOKEN, env.HIGHLEVEL_CONTACT_ID, env.HIGHLEVEL_CLIENT_SECRET, env.HIGHLEVEL_WEBHOOK_PUBLIC_KEY],
    [facts.baseUrl, facts.token, facts.contactId, facts.clientSecret, facts.webhookPublicKey],
  );
  const key = createPublicKey(await text(page, "key"));
  assert.equal(key.export({ format: "der", type: "spki" }).toString("base64"), facts.webhookPublicKey);

  const filters = () => page.locator(".secret").evaluateAll((all) => all.map((element) => getComputedStyle(element).filter));
  assert.ok((await filters()).length >= 7);
  assert.ok((await filters()).every((filter) => filter.startsWith("blur")));
  await page.getByRole("button", { name: "Copy token" }).click();
  await page.locator("#toast", { hasText: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), facts.token);
  await page.getByLabel("Show secrets").check();
  assert.ok((await filters()).every((filter) => filter === "none"));
  check(page);
});

test("the snippets for cURL and fetch work as pasted, and the first step is ticked live", async (t) => {
  const { sandbox, page } = await open(t, "/connect");
  await live(page);
  assert.equal(await isDone(page, "Send a request"), false);
  const folder = await mkdtemp(join(tmpdir(), "snippet-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "hello.mjs"), await text(page, "fetch"));
  const { stdout } = await run(process.execPath, [join(folder, "hello.mjs")]);
  assert.match(stdout, /^201 /);
  await until(() => isDone(page, "Send a request"));
  const messages = async () => (await sandbox.admin("GET", "messages")).messages;
  const curl = await text(page, "curl");
  const ran = await run("sh", ["-c", `${curl} --silent --show-error`]).catch((error) => error);
  if (ran.code === 127) {
    t.diagnostic("the command was not run, for there is no curl here");
  } else {
    assert.ok(JSON.parse(ran.stdout).messageId, ran.stdout);
    assert.equal((await messages()).length, 2);
  }
  for (const message of await messages()) assert.deepEqual([message.contactId, message.request.message], [sandbox.facts.contactId, "Hello"]);
  await step(page, "Send a request").getByRole("link", { name: "POST /conversations/messages" }).click();
  await page.locator("#request h2", { hasText: "201 Created" }).waitFor();
  check(page);
});

test("the webhook steps are ticked live, and the test events are sent", async (t) => {
  let status = 500;
  const receiver = await startReceiver(() => status);
  t.after(() => receiver.stop());
  const { sandbox, page } = await open(t, "/connect");
  await live(page);
  await page.getByText("Set the webhook URL to send a test webhook.").waitFor();
  await page.getByLabel("Webhook URL").fill(receiver.url);
  await page.keyboard.press("Enter");
  await until(() => isDone(page, "Set the webhook URL"));
  assert.equal((await sandbox.admin("GET", "webhooks")).url, receiver.url);

  await page.getByRole("button", { name: "Send test webhook" }).click();
  await page.waitForURL(/\/deliveries\/\d+$/);
  await page.locator(".status-5").first().waitFor();
  await page.goto(`${sandbox.ui}/connect`);
  await live(page);
  await step(page, "Receive a webhook").getByText("No 2xx response yet.").waitFor();
  status = 200;
  const other = await openPage(browser, `${sandbox.ui}/connect`);
  t.after(() => other.context().close());
  await other.getByRole("button", { name: "Send test message" }).click();
  await isAt(other, `**/conversations/${sandbox.facts.contactId}`);
  await other.locator(".thread").getByText("Hello, this is a test message").waitFor();
  await until(() => isDone(page, "Receive a webhook"));
  const event = receiver.received.at(-1);
  const key = createPublicKey(await text(page, "key"));
  assert.ok(verify(null, Buffer.from(event.body), key, Buffer.from(event.headers["x-ghl-signature"], "base64")));
  check(page);
  check(other);
});

test("the panel works without scripts", async (t) => {
  const { sandbox, page } = await open(t, "", { javaScriptEnabled: false });
  await page.getByRole("link", { name: "Connect", exact: true }).click();
  await page.getByLabel("Webhook URL").fill("http://127.0.0.1:9/hook");
  await page.locator("#connect-url").getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Send test webhook" }).click();
  await page.waitForURL(/\/deliveries\/\d+$/);
  await page.goto(`${sandbox.ui}/connect`);
  await page.locator("summary", { hasText: "Rust (highlevel)" }).click();
  assert.ok((await page.locator("#connect-rust").innerText()).includes("Client::builder()"));
  check(page);
});
