// Shortcuts, user input during refreshes, and use without scripts.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { check, live, openPage, painted, startBrowser } from "./support/browser.mjs";
import { startReceiver, startSandbox } from "./support/sandbox.mjs";
import { until } from "./support/story.mjs";

let browser, sandbox, receiver;
before(async () => {
  [browser, receiver] = await Promise.all([startBrowser(), startReceiver(200)]);
  sandbox = await startSandbox("--webhook-url", receiver.url);
  for (const name of ["Ada", "Grace", "Katherine"]) {
    await sandbox.admin("PUT", `contacts/${name}`, { name, phone: "+15035550130" });
    for (let count = 0; count < 12; count += 1) await sandbox.send({ contactId: name, message: `${count} to ${name}\n${"x ".repeat(200)}` });
  }
  await sandbox.send({ contactId: "Ada", type: 3 });
  await until(async () => (await sandbox.admin("GET", "deliveries?limit=500")).deliveries.every(({ attempts }) => attempts.length > 0));
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await sandbox?.stop();
  await receiver?.stop();
});

async function open(path, options) {
  const page = await openPage(browser, sandbox.ui + path, options);
  if (options?.javaScriptEnabled !== false) await live(page);
  return page;
}
const focused = (page) => page.evaluate(() => document.activeElement.name ?? document.activeElement.localName);
const address = (page) => page.url().replace(sandbox.ui, "");

const time = async () => Date.parse((await sandbox.admin("GET", "clock")).now);

/** The effect of each shortcut in the help. */
const KEYS = {
  1: async (page) => page.waitForURL(/conversations/),
  2: async (page) => page.waitForURL(/contacts/),
  3: async (page) => page.waitForURL(/requests/),
  4: async (page) => page.waitForURL(/deliveries/),
  5: async (page) => page.waitForURL(/controls/),
  "/": async (page) => assert.equal(await focused(page), "text"),
  f: async (page) => page.waitForURL(/failures=1/),
  p: async (page) => page.locator("#pause[aria-pressed=true]").waitFor(),
  j: async (page) => page.waitForURL(/\/requests\/[^?]/),
  k: async (page) => page.waitForURL(/\/requests\/[^?]/),
  u: async (page) => page.waitForURL(/\/requests(\?|$)/),
  r: async (page) => assert.equal(await page.evaluate(() => document.activeElement.localName), "textarea"),
  s: async (page) => {
    const [id] = /\d+$/.exec(new URL(page.url()).pathname);
    await until(async () => (await sandbox.admin("GET", `deliveries/${id}`)).attempts.at(-1).cause === "resend");
  },
  e: async (page) => assert.equal(await page.evaluate(() => document.activeElement.id), "edit-body"),
  c: async (page) => page.locator("#toast", { hasText: /Copied|Couldn't copy/ }).waitFor(),
  m: async (page, before) => until(async () => (await time()) >= before + 60_000),
  h: async (page, before) => until(async () => (await time()) >= before + 3_600_000),
  n: async (page, before, due) => until(async () => (await time()) >= due && due > before),
  a: async (page) => assert.equal(await focused(page), "fault"),
  "?": async (page) => page.locator("#help[open]").waitFor(),
};
/** The page on which a shortcut is tested. Defaults to the requests. */
const WHERE = { 3: "/controls", m: "/controls", h: "/controls", n: "/controls", a: "/controls", r: "/conversations/Ada", s: "/deliveries/{}", e: "/deliveries/{}", u: "/requests/{}", c: "/requests/{}" };

async function where(key) {
  // A running clock would also reach the expected time.
  if (["m", "h", "n"].includes(key)) await sandbox.admin("PATCH", "clock", { speed: 0 });
  if (key === "n") {
    // The target is unreachable, so that the event is retried.
    const { id } = await sandbox.admin("POST", "events/trigger", { event: "InboundMessage", url: "http://127.0.0.1:9/" });
    await until(async () => (await sandbox.admin("GET", `deliveries/${id}`)).attempts.length > 0);
  }
  const path = WHERE[key] ?? "/requests";
  const [kind] = path.split("/").slice(1);
  const newest = path.includes("{}") && (await sandbox.admin("GET", `${kind}?limit=1`))[kind][0].id;
  return path.replace("{}", newest);
}

describe("each shortcut in the help works as described", () => {
  for (const [key, does] of Object.entries(KEYS)) {
    test(key, async () => {
      const page = await open(await where(key), { permissions: ["clipboard-read", "clipboard-write"] });
      const before = await time();
      const due = key === "n" && Date.parse(await page.locator("#pending-retries time").getAttribute("datetime"));
      await page.keyboard.press(key);
      await does(page, before, due);
      check(page);
    });
  }

  test("the help lists exactly the existing shortcuts", async () => {
    const page = await open("/requests");
    const listed = await page.locator("#help kbd").allTextContents();
    const range = listed.flatMap((key) => (key === "1" ? ["1", "2", "3", "4", "5"] : [key]));
    const other = ["Ctrl", "Enter", "Esc"];
    assert.deepEqual([...new Set(range)].filter((key) => !other.includes(key)).sort(), Object.keys(KEYS).sort());
    const used = new Set();
    for (const key of Object.keys(KEYS)) {
      await page.goto(sandbox.ui + (await where(key)));
      for (const element of await page.locator("[data-key]").all()) used.add(await element.getAttribute("data-key"));
    }
    assert.deepEqual([...used].sort(), Object.keys(KEYS).filter((key) => !["j", "k"].includes(key)).sort());
  });
});

test("j and k open the next and the previous item", async () => {
  const page = await open("/requests");
  const rows = await page.locator("#rows a.row").evaluateAll((all) => all.map((row) => row.getAttribute("href")));
  for (const [key, place] of [["j", 0], ["j", 1], ["j", 2], ["k", 1], ["k", 0], ["k", 0]]) {
    await page.keyboard.press(key);
    await page.waitForURL((url) => url.pathname + url.search === rows[place]);
    await page.locator(`a.row[href="${rows[place]}"][aria-current]`).waitFor();
  }
  check(page);
});

test("single-key shortcuts can be disabled permanently", async () => {
  const page = await open("/requests");
  await page.keyboard.press("?");
  await page.getByLabel("Enable single-key shortcuts").uncheck();
  await page.keyboard.press("Escape");
  await page.locator("#help:not([open])").waitFor({ state: "attached" });
  for (const round of [1, 2]) {
    await page.locator("body").press("4");
    await page.locator("body").press("j");
    await page.locator("body").press("?");
    assert.equal(address(page), "/requests", `round ${round}`);
    assert.equal(await page.locator("#help[open]").count(), 0);
    await page.reload();
  }
  await page.getByRole("button", { name: "Shortcuts" }).click();
  await page.getByLabel("Enable single-key shortcuts").check();
  await page.getByRole("button", { name: "Close" }).click();
  await page.locator("body").press("4");
  await page.waitForURL(/deliveries/);
  check(page);
});

test("shortcuts are inactive in text fields", async () => {
  const page = await open("/conversations/Ada");
  await page.keyboard.press("r");
  await page.keyboard.type("12345/fjkursec?");
  assert.equal(await page.locator("textarea[name=text]").inputValue(), "12345/fjkursec?");
  assert.equal(address(page), "/conversations/Ada");
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "body");
  await page.keyboard.press("3");
  await page.waitForURL(/requests/);
});

test("Ctrl+Enter sends, clears the field and keeps the focus", async () => {
  const page = await open("/conversations/Ada");
  await page.keyboard.press("r");
  await page.keyboard.type("By keyboard alone");
  await page.keyboard.press("Control+Enter");
  await page.locator(".thread").getByText("By keyboard alone").waitFor();
  const { messages } = await sandbox.admin("GET", "messages?contactId=Ada&order=newest&limit=1");
  assert.deepEqual([messages[0].direction, messages[0].request.message], ["inbound", "By keyboard alone"]);
  await until(async () => (await page.locator("textarea[name=text]").inputValue()) === "");
  assert.equal(await focused(page), "text");
  check(page);
});

test("refreshes preserve input, selection and scroll position", async () => {
  const page = await open("/conversations/Grace");
  const field = page.locator("textarea[name=text]");
  await field.fill("I am just writing");
  await field.evaluate((element) => element.setSelectionRange(5, 9));
  await page.locator("details.about").first().evaluate((details) => (details.open = true));
  // The user has scrolled up to earlier messages.
  const thread = page.locator("[data-scroll=end]");
  await thread.evaluate((element) => (element.scrollTop = 30));
  await painted(page);
  for (let count = 0; count < 5; count += 1) {
    await sandbox.send({ contactId: "Grace", message: `While one writes ${count}` });
    await page.locator(".thread").getByText(`While one writes ${count}`).waitFor();
    assert.equal(await field.inputValue(), "I am just writing");
    assert.deepEqual(await field.evaluate((element) => [element === document.activeElement, element.selectionStart, element.selectionEnd]), [true, 5, 9]);
    assert.equal(await page.locator("details.about").first().evaluate((details) => details.open), true);
    assert.equal(await thread.evaluate((element) => element.scrollTop), 30);
  }
  // A list at its end stays at its end.
  await thread.evaluate((element) => (element.scrollTop = element.scrollHeight));
  await painted(page);
  await sandbox.send({ contactId: "Grace", message: "At the end" });
  await page.locator(".thread").getByText("At the end").waitFor();
  await until(() => thread.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight < 2));
  check(page);
});

test("refreshes preserve an open dialog and the focus of the search", async () => {
  const page = await open("/requests?text=searched");
  await page.keyboard.press("/");
  await sandbox.send({ contactId: "Ada", message: "Searched for" });
  await page.locator("#rows a.row").waitFor();
  assert.equal(await focused(page), "text");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await sandbox.send({ contactId: "Ada", message: "Searched for once more" });
  await page.locator("#rows a.row").nth(1).waitFor({ state: "attached" });
  assert.equal(await page.locator("#help[open]").count(), 1);
  check(page);
});

test("the back button restores the previous page", async () => {
  const page = await open("/conversations");
  await page.keyboard.press("j");
  await page.waitForURL(/conversations\/./);
  const first = address(page);
  await page.keyboard.press("3");
  await page.waitForURL(/requests/);
  await page.keyboard.press("j");
  await page.waitForURL(/requests\/./);
  await page.locator("#request h2").waitFor();
  for (const [path, heading] of [["/requests", "Requests"], [first, "Conversations"], ["/conversations", "Conversations"]]) {
    await page.goBack();
    await page.waitForURL(sandbox.ui + path);
    await page.locator("h1", { hasText: heading }).waitFor({ state: "attached" });
    await page.locator("a.row[aria-current]").waitFor({ state: path === first ? "attached" : "detached" });
  }
  await page.goForward();
  await page.waitForURL(sandbox.ui + first);
  await page.locator("a.row[aria-current]").waitFor();
  // Live updates continue.
  await sandbox.send({ contactId: decodeURIComponent(first.split("/")[2]), message: "After going back" });
  await page.locator(".thread").getByText("After going back").waitFor();
  check(page);
});

test("all views work without scripts", async () => {
  const page = await open("", { javaScriptEnabled: false });
  await page.getByRole("link", { name: /Katherine/ }).first().click();
  await page.locator("h2", { hasText: "Katherine" }).waitFor();
  await page.locator("textarea[name=text]").fill("Without scripts");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.locator(".thread").getByText("Without scripts").waitFor();
  const { messages } = await sandbox.admin("GET", "messages?contactId=Katherine&order=newest&limit=1");
  assert.deepEqual([messages[0].direction, messages[0].request.message], ["inbound", "Without scripts"]);

  await page.getByRole("link", { name: "Requests", exact: true }).first().click();
  await page.getByLabel("Failures only").check();
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForURL(/failures=1/);
  assert.ok((await page.locator("#rows a.row").count()) >= 1);
  assert.equal(await page.locator("#rows .status-2").count(), 0);
  await page.locator("#rows a.row").first().click();
  await page.getByRole("link", { name: "Download body" }).waitFor();

  await page.getByRole("link", { name: "Webhooks", exact: true }).first().click();
  await page.waitForURL("**/deliveries?failures=1");
  await page.getByRole("link", { name: "Clear filters" }).first().click();
  await page.locator("#rows a.row").first().click();
  const before = receiver.received.length;
  await page.getByRole("button", { name: "wrongKey", exact: true }).click();
  await until(() => receiver.received.length > before);

  await page.getByRole("link", { name: "Simulation" }).first().click();
  await page.locator("input[name=url]").first().fill("ftp://x");
  await page.getByRole("button", { name: "Save", exact: true }).first().click();
  await page.getByRole("alert").getByText("Error:").waitFor();
  await page.goBack();
  await sandbox.admin("PATCH", "clock", { speed: 1 });
  await page.getByRole("button", { name: "Paused", exact: true }).click();
  await page.getByRole("button", { name: "Paused", exact: true, pressed: true }).waitFor();
  assert.equal((await sandbox.admin("GET", "clock")).speed, 0);
  check({ problems: page.problems.filter((problem) => !problem.includes("400") && !problem.includes("422")) });
});
