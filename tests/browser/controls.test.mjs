// The Simulation tab: the effect of each form is compared with the admin API, and changes by the admin API are shown
// without a reload.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { check, isAt, live, openPage, startBrowser } from "./support/browser.mjs";
import { startReceiver, startSandbox } from "./support/sandbox.mjs";
import { until } from "./support/story.mjs";

let browser, sandbox, page;
before(async () => {
  [browser, sandbox] = await Promise.all([startBrowser(), startSandbox()]);
});
after(async () => {
  await browser.close();
  await sandbox.stop();
});
beforeEach(async () => {
  page = await openPage(browser, `${sandbox.ui}/controls`);
  await live(page);
});
afterEach(async () => {
  check(page);
  await page.context().close();
  await sandbox.admin("POST", "reset");
  await fetch(`${sandbox.ui}/controls/clock/system`, { method: "POST" });
});

const card = (id) => page.locator(`#${id}`);
const button = (within, name) => within.getByRole("button", { name, exact: true });
const noFaults = () => page.locator("#faults .card-head .badge", { hasText: "none" });
const notice = () => page.locator("#notice");

/** Waits until a value is as expected. */
async function eventually(read, expected) {
  let found;
  const fits = async () => isDeepStrictEqual((found = await read()), expected);
  await until(fits).catch(() => assert.deepEqual(found, expected));
}

// --- The clock -------------------------------------------------------------------------------------------------------

test("the clock is advanced, set, paused and sped up", async () => {
  const clock = card("time");
  const read = () => sandbox.admin("GET", "clock");
  await button(clock, "Paused").click();
  await clock.getByRole("button", { name: "Paused", pressed: true }).waitFor();
  assert.equal((await read()).speed, 0);
  let now = Date.parse((await read()).now);
  for (const [name, seconds] of [["+1 min", 60], ["+10 min", 600], ["+1 h", 3600], ["+1 day", 86400]]) {
    await button(clock, name).click();
    now += seconds * 1000;
    await eventually(async () => Date.parse((await read()).now), now);
  }

  for (const [key, seconds] of [["m", 60], ["h", 3600]]) {
    await page.keyboard.press(key);
    now += seconds * 1000;
    await eventually(async () => Date.parse((await read()).now), now);
  }

  await clock.getByText("Set custom time…").click();
  await clock.getByLabel("Advance by").fill("1.5");
  await clock.getByLabel("Unit").selectOption("hours");
  await button(clock, "Advance").click();
  await eventually(async () => Date.parse((await read()).now), now + 5_400_000);

  await clock.getByLabel("Set time (UTC)").fill("2030-01-31T09:30");
  await button(clock, "Set").click();
  await clock.locator("time", { hasText: "2030-01-31 09:30:00" }).waitFor();
  assert.equal((await read()).now, "2030-01-31T09:30:00.000Z");

  await button(clock, "60×").click();
  await clock.getByRole("button", { name: "60×", pressed: true }).waitFor();
  assert.equal((await read()).speed, 60);

  await button(clock, "Use system time").click();
  await clock.getByText("system time", { exact: true }).waitFor();
  const machine = await read();
  assert.equal(machine.speed, 1);
  assert.ok(Math.abs(Date.parse(machine.now) - Date.now()) < 5_000, machine.now);
});

test("a clock change by the admin API is shown", async () => {
  const clock = card("time");
  await sandbox.admin("PATCH", "clock", { now: "2031-05-06T07:08:09Z", speed: 0 });
  await clock.locator("time", { hasText: "2031-05-06 07:08:09" }).waitFor();
  await clock.getByRole("button", { name: "Paused", pressed: true }).waitFor();
  await card("summary").getByRole("link", { name: /^Clock: .* ahead of system time, paused$/ }).waitFor();
  await sandbox.admin("PATCH", "clock", { speed: 5 });
  await clock.getByText("5× speed").waitFor();
});

test("advancing the clock triggers a retry", async () => {
  const receiver = await startReceiver((_, number) => (number === 1 ? 500 : 200));
  await sandbox.admin("PATCH", "clock", { speed: 0 });
  await sandbox.admin("PATCH", "webhooks", { url: receiver.url, retries: "custom", waitsMs: [600_000] });
  await sandbox.send();
  const due = page.locator("#pending-retries", { hasText: "1 pending webhook retry; next at" });
  await due.waitFor();
  const { deliveries: [delivery] } = await sandbox.admin("GET", "deliveries");
  assert.equal(await due.locator("time").getAttribute("datetime"), delivery.nextAttemptAt);
  assert.equal(receiver.received.length, 1);

  await button(card("time"), "Skip to next retry").waitFor();
  await page.keyboard.press("n");
  await page.locator("#pending-retries", { hasText: "No retries scheduled" }).waitFor();
  await eventually(() => receiver.received.length, 2);
  const [first, second] = receiver.received.map((event) => JSON.parse(event.body).webhookId);
  assert.equal(first, second);
  const late = Date.parse((await sandbox.admin("GET", "clock")).now) - Date.parse(delivery.nextAttemptAt);
  assert.ok(late === 0 || late === 1, `${late} ms late`);
  await receiver.stop();
});

// --- Faults ----------------------------------------------------------------------------------------------------------

/** The values of the form, and the resulting rule. */
const RULES = [
  [{ fault: "reset" }, { fault: "reset", schedule: "always" }],
  [{ fault: "unavailable", schedule: "first", count: "3" }, { fault: "unavailable", schedule: { first: 3 } }],
  [{ fault: "close", schedule: "nth", count: "2", stage: "head" }, { fault: "close", schedule: { nth: 2 }, stage: "head" }],
  [
    { fault: "close", schedule: "everyNth", count: "1000", stage: "connect" },
    { fault: "close", schedule: { everyNth: 1000 }, stage: "connect" },
  ],
  [
    { fault: "latency", schedule: "random", probability: "0.25", seed: "7", stage: "after" },
    { fault: "latency", schedule: { random: { probability: 0.25, seed: 7 } }, stage: "after" },
  ],
  [
    { fault: "sequence", sequence: "unavailable, none\nreset" },
    { sequence: ["unavailable", "none", "reset"], schedule: "always" },
  ],
  [
    { fault: "sequence", sequence: '["none", {"status": 418}]' },
    { sequence: ["none", { status: 418 }], schedule: "always" },
  ],
  [
    { fault: "custom", custom: '{"name": "unavailable", "latencyMs": 20}', operation: "sendMessage", location: "loc1", method: "POST", path: "/a/{id}" },
    { fault: { name: "unavailable", latencyMs: 20 }, schedule: "always", operation: "sendMessage", location: "loc1", method: "POST", path: "/a/{id}" },
  ],
];

async function fillFault(fields) {
  const form = card("fault-form");
  if (["operation", "location", "method", "path"].some((name) => name in fields)) {
    await form.getByText("Filter requests").click();
  }
  for (const [name, value] of Object.entries(fields)) {
    const field = form.locator(`[name=${name}]`);
    if (await field.evaluate((element) => element.tagName === "SELECT")) await field.selectOption(value);
    else await field.fill(value);
  }
  return form;
}

test("the form adds the specified fault rule", async () => {
  for (const [number, [fields, expected]] of RULES.entries()) {
    await sandbox.admin("DELETE", "faults");
    await noFaults().waitFor();
    const form = await fillFault(fields);
    await button(form, "Add fault").click();
    await card("faults").getByRole("button", { name: /^Remove fault/ }).waitFor();
    const { faults } = await sandbox.admin("GET", "faults");
    assert.deepEqual(faults.map((fault) => fault.rule), [expected], `rule ${number}`);
    // The form is reset.
    assert.equal(await form.locator("[name=fault]").inputValue(), "");
  }
});

test("all predefined faults are offered with their descriptions", async () => {
  const { faults } = await sandbox.admin("GET", "faults/catalogue");
  const options = await page.locator("#fault optgroup option").evaluateAll((all) => all.map((each) => [each.value, each.textContent]));
  assert.deepEqual(
    Object.fromEntries(options),
    Object.fromEntries(faults.filter(({ name }) => name !== "none").map(({ name, description }) => [name, `${name}: ${description.replaceAll("`", "")}`])),
  );
  assert.equal(options.length, faults.length - 1);
});

test("a fault applies to requests, its count is live, and it can be removed", async () => {
  const faults = card("faults");
  const form = await fillFault({ fault: "unavailable", schedule: "first", count: "2" });
  await button(form, "Add fault").click();
  await faults.getByText("All requests: the first 2, before processing (nothing is stored)").waitFor();
  await faults.getByText("applied to 0 of 0 requests").waitFor();
  const send = async () => (await sandbox.api("POST", "/conversations/messages", { type: "SMS", contactId: sandbox.facts.contactId, message: "Hello", status: "pending" })).status;
  assert.equal(await send(), 503);
  await faults.getByText("applied to 1 of 1 request").waitFor();
  await sandbox.admin("POST", "faults", { fault: "forbidden", operation: "addInboundMessage" });
  await faults.getByText("Requests for addInboundMessage: every one, before processing (nothing is stored)").waitFor();
  assert.equal(await send(), 503);
  await faults.getByText("applied to 2 of 2 requests").waitFor();
  await faults.getByText("finished", { exact: true }).waitFor();
  assert.equal(await send(), 201);
  await card("summary").getByText("1 active fault, 1 finished").waitFor();

  const [first] = (await sandbox.admin("GET", "faults")).faults;
  await button(faults, `Remove fault ${first.id}`).click();
  await faults.getByText("applied to 2 of 3 requests").waitFor({ state: "detached" });
  assert.deepEqual((await sandbox.admin("GET", "faults")).faults.map((fault) => fault.rule.fault), ["forbidden"]);
  await button(faults, "Clear all").click();
  await noFaults().waitFor();
  assert.deepEqual((await sandbox.admin("GET", "faults")).faults, []);
});

test("a connection fault is shown as finished after it was applied", async () => {
  await sandbox.admin("POST", "faults", { fault: "close", stage: "connect", schedule: { first: 1 } });
  await card("faults").getByText("Connections: the first one, on connect").waitFor();
  // A separate connection: those of the page and of the test are already open.
  const { connect } = await import("node:net");
  const { hostname, port } = new URL(sandbox.facts.baseUrl);
  await new Promise((resolve) => connect(Number(port), hostname).on("close", resolve).resume());
  await card("faults").getByText("finished", { exact: true }).waitFor();
});

// --- Invalid input ---------------------------------------------------------------------------------------------------

/** The form, the values, the button, and the error message. */
const WRONG = [
  ["#fault-form", {}, "Add fault", "Fault is required"],
  ["#fault-form", { fault: "reset", schedule: "first", count: "two" }, "Add fault", 'N: "two" is not a valid number'],
  ["#fault-form", { fault: "reset", schedule: "nth", count: "0" }, "Add fault", "schedule: request numbers start at 1"],
  ["#fault-form", { fault: "reset", schedule: "random", probability: "2" }, "Add fault", "probability: 2 is not between 0 and 1"],
  ["#fault-form", { fault: "reset", stage: "connect" }, "Add fault", "would block the admin API"],
  ["#fault-form", { fault: "sequence", sequence: "rest, none" }, "Add fault", "unknown fault rest; known faults: none, reset,"],
  ["#fault-form", { fault: "sequence", sequence: "" }, "Add fault", "a rule needs either fault or a sequence"],
  ["#fault-form", { fault: "sequence", sequence: "[" }, "Add fault", "Sequence: not valid JSON: EOF"],
  ["#fault-form", { fault: "custom", custom: '{"status": 5}' }, "Add fault", "status: 5 is not between 200 and 999"],
  ["#fault-form", { fault: "custom", custom: "<b>" }, "Add fault", "Fault definition: not valid JSON: expected value"],
  ["#clock-more form:has([name=amount])", { amount: "-1" }, "Advance", "Advance by: enter a positive amount"],
  ["#clock-more form:has([name=amount])", { amount: "soon" }, "Advance", 'Advance by: "soon" is not a valid number'],
  ["#clock-more form:has([name=amount])", { amount: "9000000", unit: "days" }, "Advance", "years 1970 to 9999 only"],
  ["#clock-more form:has([name=now])", { now: "" }, "Set", "is not a valid date and time; use 2026-01-31T09:30"],
  ["#webhooks form:has([name=url])", { url: "https://example.com/" }, "Save", "https is not supported"],
  ["#webhooks form:has([name=url])", { url: "<script>" }, "Save", "invalid webhook URL <script>"],
  ["#webhooks form:has([name=delays])", { retries: "custom", delays: "1, soon" }, "Apply", 'Retry delays: "soon" is not a number of seconds'],
  ["#webhooks form:has([name=delays])", { retries: "custom", delays: "" }, "Apply", "Retry delays are required"],
  ["#tamper-form", { attempts: "3" }, "Next N attempts", "select a mode"],
  ["#tamper-form", { mode: "stale", attempts: "0" }, "Next N attempts", "N must be at least 1"],
  ["#events form", { url: "" }, "Send", "no webhook URL is set: start the sandbox with"],
  ["#events form", { fields: "{body: 1}", url: "http://127.0.0.1:9/" }, "Send", "Override fields: not a JSON object"],
  ["#events form", { fields: "[1]", url: "http://127.0.0.1:9/" }, "Send", "Override fields: not a JSON object"],
  ["#events form", { url: "localhost:9" }, "Send", "invalid webhook URL localhost:9"],
  ["#limits form:has([name=burst])", { burst: "0" }, "Enforce limits", "the rate limit allows no requests"],
  ["#limits form:has([name=burst])", { interval: "0" }, "Enforce limits", "the interval must be whole milliseconds, at least one"],
  ["#limits form:has([name=burst])", { daily: "many" }, "Enforce limits", 'Daily limit: "many" is not a valid number'],
  ["#limits form:has([name=requests])", { requests: "-1" }, "Simulate requests", 'Number of requests: "-1" is not a valid number'],
];

async function everything() {
  const paths = ["faults", "webhooks", "webhooks/tamper", "rate-limit", "settings", "deliveries"];
  const all = await Promise.all(paths.map((path) => sandbox.admin("GET", path)));
  // The time until midnight changes.
  for (const account of all[3].accounts) delete account.dailyResetMs;
  return all;
}

test("invalid input is rejected with an error, changes nothing and is preserved", async () => {
  for (const details of await page.locator(".controls details:not(.reset)").all()) await details.locator("summary").click();
  const before = await everything();
  for (const [selector, fields, press, words] of WRONG) {
    const form = page.locator(selector);
    for (const [name, value] of Object.entries(fields)) {
      const field = form.locator(`[name=${name}]`);
      if (await field.evaluate((element) => element.tagName === "SELECT")) await field.selectOption(value);
      else await field.fill(value);
    }
    // The previous error may be the same.
    await notice().evaluate((element) => element.replaceChildren());
    await button(form, press).click();
    await notice().filter({ hasText: words }).waitFor();
    for (const [name, value] of Object.entries(fields)) {
      assert.equal(await form.locator(`[name=${name}]`).inputValue(), value, `${name} of ${selector}, after ${words}`);
    }
    assert.deepEqual(await everything(), before, words);
    await form.evaluate((element) => element.reset());
  }
  // The browser logs responses with status 400.
  page.problems = page.problems.filter((problem) => !problem.includes("status of 400"));
});

test("a refresh preserves the input and open details", async () => {
  const form = await fillFault({ fault: "custom", custom: '{"status": 5', operation: "sendMessage" });
  await form.locator("[name=custom]").focus();
  await sandbox.admin("POST", "faults", { fault: "latency", schedule: { first: 1 } });
  await sandbox.send();
  await card("faults").getByText("applied to 1 of 1 request").waitFor();
  assert.equal(await form.locator("[name=custom]").inputValue(), '{"status": 5');
  assert.equal(await form.locator("[name=operation]").inputValue(), "sendMessage");
  assert.ok(await form.locator("[name=operation]").isVisible());
  assert.equal(await page.evaluate(() => document.activeElement.name), "custom");
});

// --- Webhooks and events ---------------------------------------------------------------------------------------------

test("webhook URL and retries are changed by the page and by the admin API", async () => {
  const webhooks = card("webhooks");
  const read = () => sandbox.admin("GET", "webhooks");
  const url = webhooks.getByLabel("Webhook URL");
  await url.fill("http://127.0.0.1:9/here");
  await button(webhooks, "Save").click();
  await button(webhooks, "Remove").waitFor();
  assert.deepEqual(await read(), { url: "http://127.0.0.1:9/here", retries: "documented" });
  await sandbox.admin("PATCH", "webhooks", { url: "http://127.0.0.1:9/there" });
  await eventually(() => url.inputValue(), "http://127.0.0.1:9/there");
  await button(webhooks, "Remove").click();
  await button(webhooks, "Remove").waitFor({ state: "detached" });
  assert.deepEqual(await read(), { retries: "documented" });
  assert.equal(await url.inputValue(), "");

  const retries = webhooks.getByLabel("Retry schedule");
  const delays = webhooks.getByLabel("Retry delays (seconds)");
  // The refresh resets the form, which would undo an earlier selection.
  const apply = async (name) => {
    await button(webhooks, "Apply").click();
    await retries.locator(`option[value=${name}][selected]`).waitFor({ state: "attached" });
  };
  for (const name of ["onlyOn429", "none", "documented"]) {
    await retries.selectOption(name);
    await apply(name);
    assert.deepEqual(await read(), { retries: name });
    assert.ok(!(await delays.isVisible()));
  }
  await retries.selectOption("custom");
  await delays.fill("1, 2.5 30");
  await apply("custom");
  assert.deepEqual(await read(), { retries: "custom", waitsMs: [1000, 2500, 30000] });
  await sandbox.admin("PATCH", "webhooks", { retries: "onlyOn429" });
  await eventually(() => retries.inputValue(), "onlyOn429");
  await sandbox.admin("PATCH", "webhooks", { retries: "custom", waitsMs: [4000] });
  await eventually(() => delays.inputValue(), "4");
});

test("tamper modes apply to the next or to all attempts until they are turned off", async () => {
  const receiver = await startReceiver();
  await sandbox.admin("PATCH", "webhooks", { url: receiver.url, retries: "none" });
  const webhooks = card("webhooks");
  const read = () => sandbox.admin("GET", "webhooks/tamper");
  const mode = webhooks.getByLabel("Send tampered");
  await mode.selectOption("notAvailable");
  await webhooks.getByLabel("N", { exact: true }).fill("2");
  await button(webhooks, "Next N attempts").click();
  await page.locator("#tamper-active", { hasText: "Next 2 attempts: notAvailable" }).waitFor();
  await mode.selectOption("missingHeader");
  await button(webhooks, "All attempts until turned off").click();
  await page.locator("#tamper-active", { hasText: "All after that: missingHeader" }).waitFor();
  assert.deepEqual(await read(), { mode: "missingHeader", next: [{ mode: "notAvailable", attempts: 2 }] });

  for (let number = 0; number < 3; number++) await sandbox.send();
  await eventually(() => receiver.received.map((event) => event.headers["x-ghl-signature"]), ["N/A", "N/A", undefined]);
  await page.locator("#tamper-active", { hasText: "All attempts: missingHeader" }).waitFor();
  await card("summary").getByText("All webhooks are tampered with: no signature header").waitFor();
  await button(webhooks, "Turn off").click();
  await page.locator("#tamper-active").waitFor({ state: "detached" });
  assert.deepEqual(await read(), { next: [] });

  await sandbox.admin("PUT", "webhooks/tamper", { mode: "stale" });
  await page.locator("#tamper-active", { hasText: "All attempts: stale" }).waitFor();
  await receiver.stop();
});

test("the signing key is rotated", async () => {
  const keys = card("keys");
  await keys.getByText("Signing keys (3)").click();
  const read = async () => (await sandbox.admin("GET", "webhooks/keys")).keys;
  const [old] = (await read()).filter((key) => key.current);
  await keys.getByText("Rotate signing key").click();
  await keys.getByText("Signing keys (4)").waitFor();
  const current = (await read()).filter((key) => key.current);
  assert.equal(current.length, 1);
  assert.notEqual(current[0].id, old.id);
  assert.equal(await keys.locator("li", { hasText: "current" }).locator("pre").textContent(), current[0].publicKey);
  await sandbox.admin("POST", "webhooks/keys");
  await keys.getByText("Signing keys (5)").waitFor();
});

test("every example of every event is delivered", async () => {
  const receiver = await startReceiver();
  await sandbox.admin("PATCH", "webhooks", { url: receiver.url });
  const events = card("events");
  const select = events.getByLabel("Event type");
  const options = await select.locator("option").evaluateAll((all) => all.map((option) => option.value));
  assert.deepEqual(options.sort(), [
    "ContactDndUpdate/email",
    "ConversationUnreadUpdate/read",
    "ConversationUpdate/merged",
    "INSTALL/bulk",
    "INSTALL/futureLocation",
    "INSTALL/location",
    "InboundMessage/comment",
    "InboundMessage/message",
    "InboundMessage/voicemail",
    "InboundMessage/whatsApp",
    "LCEmailStats/delivered",
    "OutboundMessage/addedCall",
    "OutboundMessage/call",
    "OutboundMessage/email",
    "OutboundMessage/internalComment",
    "OutboundMessage/message",
    "OutboundMessage/voicemail",
    "ProviderOutboundMessage/email",
    "ProviderOutboundMessage/sms",
    "UNINSTALL/location",
    "UNINSTALL/payment",
    "UPDATE/location",
    "VoiceAiCallEnd/call",
  ]);
  await events.getByText("Override fields or URL").click();
  await events.getByLabel("Send to URL").fill(receiver.url.replace("/webhooks", "/elsewhere"));
  for (const [number, option] of options.entries()) {
    await select.selectOption(option);
    await events.getByLabel("Override fields (JSON").fill(JSON.stringify({ mark: option, timestamp: null }));
    await button(events, "Send").click();
    await eventually(() => receiver.received.length, number + 1);
    const payload = JSON.parse(receiver.received[number].body);
    assert.equal(payload.mark, option);
    assert.ok(!("timestamp" in payload));
    const [name] = option.split("/");
    // A provider event has its channel as the type, and the end of a call of Voice AI has none.
    if (name === "VoiceAiCallEnd") assert.ok(!("type" in payload));
    else if (name !== "ProviderOutboundMessage") assert.equal(payload.type, name);
    const { deliveries: [delivery] } = await sandbox.admin("GET", "deliveries");
    assert.deepEqual([delivery.event, delivery.url], [name, receiver.url.replace("/webhooks", "/elsewhere")]);
    await page.locator("#sent", { hasText: `Delivery ${delivery.id} ${name}, delivered` }).waitFor();
  }
  await page.locator("#sent").getByRole("link").click();
  await page.locator("nav a[aria-current=page]", { hasText: "Webhooks" }).waitFor();
  const { deliveries: [last] } = await sandbox.admin("GET", "deliveries");
  await isAt(page, `**/deliveries/${last.id}`);
  await receiver.stop();
});

// --- Limits and validation -------------------------------------------------------------------------------------------

test("limits are enforced, exhausted and disabled", async () => {
  const limits = card("limits");
  const read = () => sandbox.admin("GET", "rate-limit");
  await limits.getByLabel("Burst limit").fill("3");
  await limits.getByLabel("Window type").selectOption("fixed");
  await limits.getByLabel("Window (ms)").fill("600000");
  await limits.getByLabel("Daily limit").fill("1000");
  await limits.getByLabel("Include Retry-After").check();
  await button(limits, "Enforce limits").click();
  await limits.getByText("enforced", { exact: true }).waitFor();
  const { accounts, ...rest } = await read();
  assert.deepEqual(rest, { enforced: true, window: "fixed", burst: 3, intervalMs: 600000, daily: 1000, retryAfter: true });
  assert.deepEqual(accounts, []);

  await limits.getByLabel("Number of requests").fill("2");
  await button(limits, "Simulate requests").click();
  await limits.getByRole("cell", { name: "998" }).waitFor();
  assert.deepEqual((await read()).accounts.map((each) => [each.burstRemaining, each.dailyRemaining]), [[1, 998]]);
  const send = async () => (await sandbox.api("POST", "/conversations/messages", { type: "SMS", contactId: sandbox.facts.contactId, message: "Hello", status: "pending" })).status;
  assert.deepEqual([await send(), await send()], [201, 429]);
  await limits.getByRole("cell", { name: "997" }).waitFor();

  await sandbox.admin("PUT", "rate-limit", { enforced: true, burst: 50, window: "sliding", retryAfter: false });
  await eventually(() => limits.getByLabel("Burst limit").inputValue(), "50");
  await eventually(() => limits.getByLabel("Window type").inputValue(), "sliding");
  assert.ok(!(await limits.getByLabel("Include Retry-After").isChecked()));
  await card("summary").getByText("Rate limit: 50 requests per 10 s, 200,000 per day").waitFor();
  await button(limits, "Stop enforcing").click();
  await limits.getByText("not enforced").waitFor();
  assert.equal((await read()).enforced, false);
});

test("each account has a separate limit", async () => {
  const limits = card("limits");
  await sandbox.admin("POST", "rate-limit/use", { requests: 1, appId: "<b>app</b>", locationId: "other" });
  await limits.getByRole("rowheader", { name: "<b>app</b> other" }).waitFor();
  await limits.locator("[name=account]").selectOption({ label: "<b>app</b>, other" });
  await limits.getByLabel("Number of requests").fill("9");
  await button(limits, "Simulate requests").click();
  await limits.getByRole("cell", { name: "199,990" }).waitFor();
  const { accounts } = await sandbox.admin("GET", "rate-limit");
  assert.deepEqual(accounts.map((each) => [each.appId, each.dailyRemaining]), [["<b>app</b>", 199_990]]);
});

test("strictness, status and quirks are changed by the page and by the admin API", async () => {
  const validation = card("validation");
  const read = () => sandbox.admin("GET", "settings");
  const expected = { strictness: "lenient", successStatus: 201, quirks: [], disabledRefusals: [], searchLagMs: 5000 };
  await validation.getByRole("button", { name: "documented" }).click();
  await validation.getByRole("button", { name: "documented", pressed: true }).waitFor();
  assert.deepEqual(await read(), { ...expected, strictness: "documented" });
  await validation.getByRole("button", { name: "200" }).click();
  await validation.getByRole("button", { name: "200", pressed: true }).waitFor();
  assert.deepEqual(await read(), { ...expected, strictness: "documented", successStatus: 200 });
  await sandbox.admin("PATCH", "settings", { strictness: "lenient", successStatus: 201 });
  await validation.getByRole("button", { name: "lenient", pressed: true }).waitFor();
  await validation.getByRole("button", { name: "201", pressed: true }).waitFor();

  const { quirks } = await sandbox.admin("GET", "settings/catalogue");
  const names = quirks.map((quirk) => quirk.name).sort();
  for (const { name, description } of quirks) {
    const quirk = validation.getByRole("switch", { name, checked: false });
    assert.equal((await validation.locator(`#quirk-${name}-text`).textContent()).trim(), description.replaceAll("`", ""));
    await quirk.click();
    await validation.getByRole("switch", { name, checked: true }).waitFor();
  }
  assert.deepEqual((await read()).quirks.sort(), names);
  for (const name of names) {
    await validation.getByRole("switch", { name, checked: true }).click();
    await validation.getByRole("switch", { name, checked: false }).waitFor();
  }
  assert.deepEqual(await read(), expected);
  await sandbox.admin("PATCH", "settings", { quirks: ["empty-success"] });
  await validation.getByRole("switch", { name: "empty-success", checked: true }).waitFor();
});

// --- Overview and reset ----------------------------------------------------------------------------------------------

/** Changes a setting on every card. */
async function changeEverything() {
  await sandbox.admin("PATCH", "webhooks", { url: "http://127.0.0.1:9/", retries: "none" });
  await sandbox.admin("PUT", "webhooks/tamper", { mode: "stale", next: [{ mode: "rsa", attempts: 2 }] });
  await sandbox.admin("POST", "webhooks/keys");
  await sandbox.admin("POST", "faults", { fault: "reset", operation: "addOutboundCall" });
  await sandbox.admin("PUT", "rate-limit", { enforced: true });
  await sandbox.admin("PATCH", "settings", { strictness: "documented", successStatus: 200, quirks: ["bad-token-500"] });
  await sandbox.admin("PATCH", "clock", { advanceMs: 7_200_000 });
  await sandbox.send();
}

const beginning = async () => {
  const [faults, webhooks, tampering, limits, settings, deliveries] = await everything();
  const { requests } = await sandbox.admin("GET", "requests");
  const { keys } = await sandbox.admin("GET", "webhooks/keys");
  return { faults, webhooks, tampering, limits: { ...limits, accounts: [] }, settings, deliveries, requests, keys };
};

test("active overrides link to their cards, and a reset restores all settings", async () => {
  const began = await beginning();
  const summary = card("summary");
  await summary.getByText("All settings at defaults").waitFor();
  await changeEverything();
  await summary.getByText("Active overrides").waitFor();
  await eventually(
    () => summary.locator("li").evaluateAll((items) => items.map((item) => [item.querySelector("a").hash, item.textContent.trim().replace(/2 h( \d s)?/, "2 h")])),
    [
      ["#time", "Clock: 2 h ahead of system time, 1× speed"],
      ["#faults", "1 active fault"],
      ["#webhooks", "Webhook URL: http://127.0.0.1:9/"],
      ["#webhooks", "Webhook retries: never"],
      ["#webhooks", "All webhooks are tampered with: timestamp 1 day old, valid signature"],
      ["#webhooks", "Next webhook attempt is tampered with"],
      ["#limits", "Rate limit: 100 requests per 10 s, 200,000 per day"],
      ["#validation", "Validation: documented"],
      ["#validation", "Success status: 200"],
      ["#validation", "Quirk: bad-token-500"],
    ],
  );
  await page.setViewportSize({ width: 700, height: 400 });
  await summary.getByText("Quirk: bad-token-500").click();
  const inView = () => card("validation").evaluate((element) => element.getBoundingClientRect().top < innerHeight);
  await eventually(inView, true);

  await summary.getByText("Reset sandbox…").click();
  await button(summary, "Reset sandbox").click();
  await summary.getByText("All settings at defaults").waitFor();
  await button(summary, "Reset sandbox").waitFor({ state: "hidden" });
  assert.deepEqual(await beginning(), began);
  const clock = await sandbox.admin("GET", "clock");
  assert.equal(clock.speed, 1);
  assert.ok(Math.abs(Date.parse(clock.now) - Date.now()) < 5_000, clock.now);
});

test("a reset can keep the clock", async () => {
  await sandbox.admin("PATCH", "clock", { now: "2031-05-06T07:08:09Z", speed: 0 });
  const summary = card("summary");
  await summary.getByText("Reset sandbox…").click();
  await summary.getByLabel("Also reset the clock to system time").uncheck();
  await sandbox.admin("POST", "faults", { fault: "reset", operation: "addOutboundCall" });
  await card("faults").getByText("1 active").waitFor();
  await button(summary, "Reset sandbox").click();
  await noFaults().waitFor();
  assert.deepEqual((await sandbox.admin("GET", "faults")).faults, []);
  assert.deepEqual(await sandbox.admin("GET", "clock"), { now: "2031-05-06T07:08:09.000Z", speed: 0 });
});

test("settings from startup are labelled as such", async () => {
  const own = await startSandbox("--webhook-url", "http://127.0.0.1:9/start", "--rate-limit");
  const other = await openPage(browser, `${own.ui}/controls`);
  await live(other);
  await other.getByText("All settings at defaults").waitFor();
  await other.locator("#summary li", { hasText: "Rate limit: 100 requests per 10 s, 200,000 per day set at startup" }).waitFor();
  await own.admin("PATCH", "webhooks", { url: null });
  await other.locator("#summary li", { hasText: "No webhook URL set" }).waitFor();
  await other.getByText("Active overrides").waitFor();
  check(other);
  await other.context().close();
  await own.stop();
});

test("untrusted text is escaped", async () => {
  const hostile = "<img src=x onerror=alert(1)>";
  await sandbox.admin("POST", "faults", { fault: { raw: hostile, headers: { "x-h": hostile } }, location: hostile, path: `/${hostile}`, method: "GET" });
  await card("faults").getByText(`to /${hostile} of ${hostile}`).waitFor();
  await sandbox.admin("POST", "rate-limit/use", { requests: 1, appId: hostile, locationId: '"><script>alert(1)</script>' });
  await card("limits").getByRole("rowheader", { name: hostile }).waitFor();
  assert.equal(await page.locator("#content img, #content script").count(), 0);
});

test("every form works without scripts", async () => {
  const plain = await openPage(browser, `${sandbox.ui}/controls`, { javaScriptEnabled: false });
  await plain.locator("#fault").selectOption("forbidden");
  await plain.locator("#fault-form").getByRole("button", { name: "Add fault" }).click();
  await plain.locator("#faults").getByText("applied to 0 of 0 requests").waitFor();
  assert.equal((await sandbox.admin("GET", "faults")).faults[0].rule.fault, "forbidden");
  await plain.locator("#time").getByRole("button", { name: "Paused" }).click();
  await plain.getByRole("button", { name: "Paused", pressed: true }).waitFor();
  assert.equal((await sandbox.admin("GET", "clock")).speed, 0);
  await plain.getByRole("switch", { name: "bad-token-500" }).click();
  await plain.getByRole("switch", { name: "bad-token-500", checked: true }).waitFor();
  await plain.getByText("Reset sandbox…").click();
  await plain.getByRole("button", { name: "Reset sandbox" }).click();
  await plain.getByText("All settings at defaults").waitFor();
  assert.deepEqual((await sandbox.admin("GET", "faults")).faults, []);
  check(plain);
  await plain.context().close();
});

test("a fault is added and removed by keyboard", async () => {
  await page.goto(sandbox.ui);
  await page.keyboard.press("5");
  const tabTo = async (name) => {
    for (let presses = 0; presses < 80; presses++) {
      const found = await page.evaluate((name) => [document.activeElement.name, document.activeElement.getAttribute("aria-label"), document.activeElement.textContent.trim()].includes(name), name);
      if (found) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`Tab does not come to ${name}`);
  };
  await page.locator("nav a[aria-current=page]", { hasText: "Simulation" }).waitFor();
  await page.keyboard.press("a");
  await page.keyboard.type("reset-in-b");
  await tabTo("schedule");
  await page.keyboard.type("First");
  await tabTo("count");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("4");
  await page.keyboard.press("Enter");
  await card("faults").getByText("All requests: the first 4, after processing (the message is stored)").waitFor();
  const { faults: [fault] } = await sandbox.admin("GET", "faults");
  assert.deepEqual(fault.rule, { fault: "reset-in-body", schedule: { first: 4 } });
  await page.evaluate(() => document.activeElement.blur());
  await tabTo(`Remove fault ${fault.id}`);
  await page.keyboard.press("Enter");
  await noFaults().waitFor();
  assert.deepEqual((await sandbox.admin("GET", "faults")).faults, []);
});

test("no content is wider than the screen, and cards have a maximum width", async () => {
  await changeEverything();
  await card("summary").getByText("Quirk: bad-token-500").waitFor();
  await card("time").getByText("2 h ahead").waitFor();
  await card("limits").getByRole("rowheader").waitFor();
  for (const [width, columns] of [[360, 1], [768, 1], [1280, 2], [2560, 3]]) {
    await page.setViewportSize({ width, height: 900 });
    for (const details of await page.locator(".controls details").all()) await details.evaluate((element) => (element.open = true));
    const boxes = await page.locator(".controls .card").evaluateAll((cards) => cards.map((each) => each.getBoundingClientRect().toJSON()));
    const [summary, ...cards] = boxes;
    assert.ok(summary.width > 0);
    for (const box of cards) assert.ok(box.left >= 0 && box.right <= width && box.width <= 704, `${width}: ${JSON.stringify(box)}`);
    assert.equal(new Set(cards.map((box) => box.left)).size, columns, `${width}`);
    const wide = await page.locator(".controls *").evaluateAll((all) =>
      all.filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline" && !each.matches("input, select, textarea, pre, .visually-hidden")).map((each) => each.outerHTML.slice(0, 80)),
    );
    assert.deepEqual(wide, [], `${width}`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${width}`);
  }
});
