// The Webhooks tab: list and search, attempts, resend, replay and tampering. The page is compared with the admin API
// and with a webhook receiver.
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, describe, test } from "node:test";

import { check, isAt, live, openPage, startBrowser } from "./support/browser.mjs";
import { startReceiver, startSandbox } from "./support/sandbox.mjs";
import { until } from "./support/story.mjs";

let browser;
before(async () => (browser = await startBrowser()));
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(() => browser.close());

/** Starts a sandbox with a paused clock, so that there are no automatic retries, and a receiver that responds with `reply.status`. */
async function scene(t, options = []) {
  const reply = { status: 200 };
  const receiver = await startReceiver(() => reply.status);
  const sandbox = await startSandbox("--webhook-url", receiver.url, ...options);
  t.after(async () => {
    await sandbox.stop();
    await receiver.stop();
  });
  await sandbox.admin("PATCH", "clock", { speed: 0 });
  return { reply, receiver, sandbox };
}

/** Waits until `count` attempts of a delivery are completed. */
function attempts(sandbox, id, count) {
  return until(async () => {
    const delivery = await sandbox.admin("GET", `deliveries/${id}`);
    return delivery.attempts.length >= count && delivery;
  });
}

/** Sends a message and waits until its webhook is delivered. */
async function sendAndWait(sandbox, fields) {
  const { messageId } = await sandbox.send(fields);
  return until(async () => {
    const { deliveries } = await sandbox.admin("GET", `deliveries?messageId=${messageId}`);
    return deliveries[0]?.attempts.length > 0 && deliveries[0];
  });
}

async function open(sandbox, path, options) {
  const page = await openPage(browser, `${sandbox.ui}/deliveries${path}`, options);
  await live(page);
  return page;
}

const attempt = (page, number) => page.locator(`#attempt-${number}`);
const rows = (page) => page.locator("#rows a.row");

/** Verifies an Ed25519 signature with a public key in the format of the admin API. */
function isSigned(body, signature, publicKey) {
  const key = createPublicKey({ key: Buffer.from(publicKey, "base64"), format: "der", type: "spki" });
  return verify(null, Buffer.from(body), key, Buffer.from(signature, "base64"));
}

const key = async (sandbox, wanted) => (await sandbox.admin("GET", "webhooks/keys")).keys.find(wanted).publicKey;

test("without a webhook URL the page explains how to set one", async (t) => {
  const sandbox = await startSandbox();
  t.after(() => sandbox.stop());
  const page = await open(sandbox, "");
  await page.getByText("No webhook URL configured.").waitFor();
  await page.getByText("--webhook-url").waitFor();
  await page.locator("#no-url").getByRole("link", { name: "Simulation" }).click();
  await page.locator("nav a[aria-current=page]", { hasText: "Simulation" }).waitFor();
  // The URL is set by the admin API, and the page is refreshed.
  await page.goBack();
  await page.locator("#no-url").waitFor();
  await sandbox.admin("PATCH", "webhooks", { url: "http://127.0.0.1:9/" });
  await page.getByText("No webhooks sent yet").waitFor();
  assert.equal(await page.locator("#no-url").count(), 0);
  check(page);
});

test("the list shows the state of each delivery", async (t) => {
  const { reply, receiver, sandbox } = await scene(t);
  const page = await open(sandbox, "");
  await sendAndWait(sandbox, { message: "Taken" });
  reply.status = 503;
  await sendAndWait(sandbox, { message: "Not taken" });
  await sandbox.admin("PUT", "webhooks/tamper", { mode: "stale" });
  await sandbox.admin("PATCH", "webhooks", { retries: "none", url: "http://127.0.0.1:9/unreachable?secret=1" });
  const last = await sendAndWait(sandbox, { message: "Unreachable" });
  await rows(page).nth(2).waitFor();
  await rows(page).first().getByText("failed", { exact: true }).waitFor();

  const target = receiver.url.replace("http://", "");
  const texts = (await rows(page).allInnerTexts()).map((text) => text.replace(/\s+/g, " "));
  const { nextAttemptAt } = await sandbox.admin("GET", "deliveries/2");
  const clock = (time) => time.slice(11, 19);
  assert.match(texts[0], /^OutboundMessage .*127\.0\.0\.1:9\/unreachable · Unreachable failed no response stale 1 attempt /);
  assert.ok(texts[0].includes(last.attempts[0].error), texts[0]);
  assert.ok(!texts[0].includes("secret"));
  assert.match(texts[1], /^OutboundMessage .*Not taken pending 503 1 attempt next attempt in [12] s, at /);
  assert.ok(texts[1].includes(`${target} · Not taken`) && texts[1].includes(`at ${clock(nextAttemptAt)}`), texts[1]);
  assert.match(texts[2], /^OutboundMessage .*Taken delivered 200 1 attempt$/);
  for (const [id, text] of [[3, texts[0]], [2, texts[1]], [1, texts[2]]]) {
    const { createdAt } = await sandbox.admin("GET", `deliveries/${id}`);
    assert.ok(text.includes(clock(createdAt)), text);
  }
  check(page);
});

test("attempts are shown live, and open details stay open", async (t) => {
  const { reply, sandbox } = await scene(t);
  reply.status = 500;
  const sent = await sendAndWait(sandbox, { message: "Try again" });
  const page = await open(sandbox, "/1");
  await page.evaluate(() => (window.isTheSame = true));
  assert.equal(await attempt(page, 1).locator(".status").textContent(), "500");
  assert.equal(await page.locator("#next-attempt time").first().getAttribute("datetime"), sent.nextAttemptAt);
  // The response of the latest attempt is open if it failed.
  await attempt(page, 1).getByText("seen", { exact: true }).waitFor();

  reply.status = 200;
  await sandbox.admin("PATCH", "clock", { advanceMs: 5_000 });
  await attempt(page, 2).getByText("200", { exact: true }).waitFor();
  await page.locator(".detail-head").getByText("delivered").waitFor();
  await page.locator("#next-attempt").getByText("none scheduled").waitFor();
  assert.deepEqual(await page.locator(".timeline h4").allTextContents(), ["Attempt 2", "Attempt 1"]);
  assert.ok(await attempt(page, 1).getByText("seen", { exact: true }).isVisible());
  assert.ok(await page.evaluate(() => window.isTheSame));

  const delivery = await attempts(sandbox, 1, 2);
  const shown = await page.locator(".timeline > li time:first-of-type").evaluateAll((all) => all.map((time) => time.dateTime));
  for (const { startedAt } of delivery.attempts) assert.ok(shown.includes(startedAt));
  assert.ok(shown.includes(sent.attempts[0].nextAttemptAt));
  check(page);
});

test("the countdown to the next attempt uses sandbox time", async (t) => {
  const { reply, sandbox } = await scene(t);
  await sandbox.admin("PATCH", "webhooks", { retries: "custom", waitsMs: [7_200_000] });
  reply.status = 500;
  await sendAndWait(sandbox);
  const page = await open(sandbox, "/1");
  const words = page.locator("#next-attempt time").first();
  assert.equal(await words.textContent(), "in 2 h");
  await sandbox.admin("PATCH", "clock", { advanceMs: 1_800_000 });
  await page.locator("#next-attempt").getByText("in 1 h 30 min").waitFor();
  // The list shows the same.
  await rows(page).getByText("in 1 h 30 min").waitFor();
  // While the clock runs, the script counts down; the page is refreshed only once, for the new speed.
  await sandbox.admin("PATCH", "clock", { speed: 60 });
  const seen = new Set();
  while (seen.size < 4) {
    seen.add(await words.textContent());
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
  assert.ok([...seen].every((text) => /^in 1 h( \d+ min)?$/.test(text)), [...seen].join());
  check(page);
});

test("an attempt without a response is in progress", async (t) => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const { reply, sandbox } = await scene(t);
  await sendAndWait(sandbox);
  const page = await open(sandbox, "/1");
  reply.status = held;
  await page.getByRole("button", { name: "Resend" }).click();
  await page.getByText("1 attempt in progress or queued").waitFor();
  await rows(page).getByText("1 in progress").waitFor();
  release(204);
  await attempt(page, 2).getByText("204", { exact: true }).waitFor();
  assert.equal(await page.locator("#in-progress").count(), 0);
  check(page);
});

test("signature and key match the request", async (t) => {
  const { receiver, sandbox } = await scene(t);
  const { attempts: [made], payload } = await sendAndWait(sandbox, { message: "Signed" });
  const page = await open(sandbox, "/1");
  await attempt(page, 1).getByText("Request headers").click();
  const shown = await attempt(page, 1).locator("tr", { hasText: "x-ghl-signature" }).locator("code").textContent();
  const publicKey = await page.locator("#attempt-1-key").textContent();
  assert.equal(shown, receiver.received[0].headers["x-ghl-signature"]);
  assert.equal(publicKey, await key(sandbox, ({ current }) => current));
  assert.ok(isSigned(receiver.received[0].body, shown, publicKey));
  await attempt(page, 1).getByText(`Signed with ${made.signedBy}, the current key.`).waitFor();
  assert.equal(await attempt(page, 1).getByText("signature does not match body").count(), 0);
  // The formatted payload is equal to the sent one.
  assert.deepEqual(JSON.parse(await page.locator("#payload").textContent()), JSON.parse(payload.text));
  assert.equal(await page.locator("#payload-raw").textContent(), receiver.received[0].body);

  await sandbox.admin("POST", "webhooks/keys");
  await attempt(page, 1).getByText(`Signed with ${made.signedBy}, a retired key.`).waitFor();
  check(page);
});

test("the public key can be copied", async (t) => {
  const { sandbox } = await scene(t);
  await sendAndWait(sandbox);
  const page = await open(sandbox, "/1", { permissions: ["clipboard-read", "clipboard-write"] });
  await attempt(page, 1).getByText("Request headers").click();
  await page.getByRole("button", { name: /Copy public key/ }).click();
  await page.locator("#toast").getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await key(sandbox, ({ current }) => current));
  check(page);
});

test("the message links to its timeline", async (t) => {
  const { sandbox } = await scene(t);
  await sendAndWait(sandbox, { message: "Find me" });
  const page = await open(sandbox, "/1");
  const { messageId } = await sandbox.admin("GET", "deliveries/1");
  await page.getByRole("link", { name: messageId }).click();
  await page.locator(".message-page").getByText("Find me").waitFor();
  await isAt(page, `**/messages/${messageId}`);
  check(page);
});

test("a resent event is identical", async (t) => {
  const { receiver, sandbox } = await scene(t);
  await sendAndWait(sandbox, { message: "Twice" });
  const page = await open(sandbox, "/1");
  await page.getByRole("button", { name: "Resend" }).click();
  await attempt(page, 2).getByText("resend").waitFor();
  await page.keyboard.press("s");
  await attempt(page, 3).getByText("resend").waitFor();
  assert.equal(receiver.received.length, 3);
  const [first, ...again] = receiver.received;
  for (const { body, headers } of again) {
    assert.equal(body, first.body);
    assert.equal(headers["x-ghl-signature"], first.headers["x-ghl-signature"]);
  }
  await isAt(page, "**/deliveries/1");
  check(page);
});

test("a replay repeats the request of an attempt byte for byte", async (t) => {
  const { receiver, sandbox } = await scene(t);
  await sendAndWait(sandbox);
  // The second attempt differs, and the key is rotated afterwards: a resend would use the new key.
  await sandbox.admin("POST", "deliveries/1/resend", { tamperMode: "stale" });
  await attempts(sandbox, 1, 2);
  await sandbox.admin("POST", "webhooks/keys");
  const page = await open(sandbox, "/1");
  for (const [chosen, made] of [[1, 3], [2, 4]]) {
    await page.getByRole("button", { name: `Replay attempt ${chosen}`, exact: true }).click();
    await attempt(page, made).getByText("replay", { exact: true }).waitFor();
    const [original, replayed] = [receiver.received[chosen - 1], receiver.received[made - 1]];
    assert.equal(replayed.body, original.body);
    for (const name of ["x-ghl-signature", "content-type", "user-agent"]) {
      assert.equal(replayed.headers[name], original.headers[name], name);
    }
  }
  assert.notEqual(receiver.received[0].body, receiver.received[1].body);
  check(page);
});

describe("an edited event", () => {
  const cases = [
    { name: "with the original signature", body: '{"type":"INSTALL",\n "ü":"<b>&amp;</b>"}\n', signed: false, isGenuine: false },
    { name: "re-signed", body: '{"type":"INSTALL",\n "ü":"<b>&amp;</b>"}\n', signed: true, isGenuine: true },
    { name: "not edited", body: undefined, signed: false, isGenuine: true },
    { name: "empty", body: "", signed: false, isGenuine: false },
    { name: "no JSON", body: "  \n", signed: true, isGenuine: true },
  ];
  for (const { name, body, signed, isGenuine } of cases) {
    test(name, async (t) => {
      const { receiver, sandbox } = await scene(t);
      await sendAndWait(sandbox, { message: 'Say "hi"\n\\n <script>alert(1)</script>' });
      const page = await open(sandbox, "/1");
      const field = page.getByRole("textbox", { name: "Body" });
      assert.equal(await field.inputValue(), receiver.received[0].body);
      if (body !== undefined) await field.fill(body);
      if (signed) await page.getByLabel("Re-sign with the current key").check();
      await page.getByRole("button", { name: "Send edited" }).click();
      await attempt(page, 2).getByText("replay", { exact: true }).waitFor();
      const [first, edited] = receiver.received;
      assert.equal(edited.body, body ?? first.body);
      const signature = edited.headers["x-ghl-signature"];
      assert.equal(isSigned(edited.body, signature, await key(sandbox, ({ current }) => current)), isGenuine);
      if (!signed) assert.equal(signature, first.headers["x-ghl-signature"]);
      assert.equal(await attempt(page, 2).getByText("signature does not match body").count(), isGenuine ? 0 : 1);
      assert.equal(await attempt(page, 2).getByText("body differs from payload").count(), body === undefined ? 0 : 1);
      check(page);
    });
  }

  test("copies the headers of the selected attempt", async (t) => {
    const { receiver, sandbox } = await scene(t);
    await sendAndWait(sandbox);
    await sandbox.admin("POST", "deliveries/1/resend", { tamperMode: "notAvailable" });
    await attempts(sandbox, 1, 2);
    const page = await open(sandbox, "/1");
    await page.getByRole("textbox", { name: "Body" }).fill("{}");
    await page.getByLabel("Copy headers from").selectOption("1");
    await page.getByRole("button", { name: "Send edited" }).click();
    await attempt(page, 3).waitFor();
    await page.getByLabel("Copy headers from").selectOption("");
    await page.keyboard.press("e");
    await page.keyboard.press("Control+Enter");
    await attempt(page, 4).waitFor();
    const signatures = receiver.received.map(({ headers }) => headers["x-ghl-signature"]);
    assert.deepEqual(signatures, [signatures[0], "N/A", signatures[0], signatures[0]]);
    check(page);
  });

  test("the input is preserved by refreshes and after errors", async (t) => {
    const { sandbox } = await scene(t);
    await sendAndWait(sandbox);
    const page = await open(sandbox, "/1");
    const field = page.getByRole("textbox", { name: "Body" });
    await field.fill('{"mine":true}');
    await page.getByLabel("Re-sign with the current key").check();
    await field.focus();
    await sandbox.admin("POST", "deliveries/1/resend", {});
    await attempt(page, 2).waitFor();
    assert.equal(await field.inputValue(), '{"mine":true}');
    assert.ok(await page.getByLabel("Re-sign with the current key").isChecked());
    assert.ok(await field.evaluate((element) => element === document.activeElement));

    // In one step, because a refresh would restore the options.
    await page.locator("#edit").evaluate((form) => {
      form.elements.attempt.options[0].value = "99";
      form.requestSubmit();
    });
    await page.locator("#notice").getByText("no attempt 99").waitFor();
    assert.equal(await field.inputValue(), '{"mine":true}');
    assert.ok(page.problems.every((problem) => problem.includes("404")), page.problems.join());

    await page.getByRole("button", { name: "Reset to original" }).click();
    const { payload } = await sandbox.admin("GET", "deliveries/1");
    assert.equal(await field.inputValue(), payload.text);
  });
});

describe("each tamper mode alters the request as described", () => {
  /** Checks per mode, given the genuine request, the tampered one, the keys, and all received requests. */
  const now = (sandbox) => sandbox.admin("GET", "clock").then(({ now }) => Date.parse(now));
  const hoursFrom = async ({ wrong, sandbox }) => (Date.parse(JSON.parse(wrong.body).timestamp) - (await now(sandbox))) / 3_600_000;
  const fits = ({ wrong, publicKey }) => isSigned(wrong.body, wrong.headers["x-ghl-signature"], publicKey);
  const is = (condition) => assert.ok(condition);
  const modes = {
    wrongKey: ({ wrong, first, keys }) => {
      is(wrong.body === first.body);
      const published = keys.filter(({ algorithm }) => algorithm === "Ed25519");
      is(published.every(({ publicKey }) => !isSigned(wrong.body, wrong.headers["x-ghl-signature"], publicKey)));
    },
    oldKey: ({ wrong, keys }) => {
      const signers = keys.filter(({ algorithm, publicKey }) => algorithm === "Ed25519" && isSigned(wrong.body, wrong.headers["x-ghl-signature"], publicKey));
      assert.deepEqual(signers.map(({ current }) => current), [false]);
    },
    stale: async (found) => is(fits(found) && (await hoursFrom(found)) === -24),
    future: async (found) => is(fits(found) && (await hoursFrom(found)) === 1),
    duplicate: ({ first, wrong, received }) => {
      assert.deepEqual(received.map(({ body }) => body), [first.body, first.body, first.body]);
      assert.equal(received[2].headers["x-ghl-signature"], wrong.headers["x-ghl-signature"]);
    },
    reordered: ({ received }) => {
      const said = received.map(({ body }) => JSON.parse(body).body);
      assert.deepEqual(said, ["Hello", "Overtakes", "Hello"]);
    },
    alteredByte: (found) => {
      const [genuine, wrong] = [Buffer.from(found.first.body), Buffer.from(found.wrong.body)];
      assert.equal(wrong.length, genuine.length);
      assert.equal(wrong.filter((byte, place) => byte !== genuine[place]).length, 1);
      is(!fits(found) && JSON.parse(found.wrong.body));
      assert.equal(found.wrong.headers["x-ghl-signature"], found.first.headers["x-ghl-signature"]);
    },
    missingHeader: ({ wrong, first }) => is(!("x-ghl-signature" in wrong.headers) && wrong.body === first.body),
    notAvailable: ({ wrong, first }) => is(wrong.headers["x-ghl-signature"] === "N/A" && wrong.body === first.body),
    rsa: ({ wrong, keys }) => {
      is(!("x-ghl-signature" in wrong.headers));
      const rsa = createPublicKey(keys.find(({ algorithm }) => algorithm === "RSA").publicKey);
      is(verify("sha256", Buffer.from(wrong.body), rsa, Buffer.from(wrong.headers["x-wh-signature"], "base64")));
    },
    otherApp: (found) => {
      const [genuine, wrong] = [found.first, found.wrong].map(({ body }) => JSON.parse(body));
      is(fits(found) && genuine.appId !== wrong.appId);
      assert.deepEqual({ ...wrong, appId: genuine.appId }, genuine);
    },
  };
  for (const [mode, isWrong] of Object.entries(modes)) {
    test(mode, async (t) => {
      const { receiver, sandbox } = await scene(t);
      await sendAndWait(sandbox, { message: "Hello" });
      const page = await open(sandbox, "/1");
      const button = page.getByRole("button", { name: mode, exact: true });
      assert.match(await page.locator(`#${await button.getAttribute("aria-describedby")}`).textContent(), /\. Expected response: \d{3}/);
      await button.click();
      if (mode === "reordered") {
        await page.getByText("1 attempt in progress or queued").waitFor();
        await sendAndWait(sandbox, { message: "Overtakes" });
      }
      await attempt(page, mode === "duplicate" ? 3 : 2).waitFor();
      await attempt(page, 2).locator(".badge", { hasText: mode }).waitFor();
      await attempt(page, 2).getByText("Tampered delivery:").waitFor();
      const { received } = receiver;
      const { keys } = await sandbox.admin("GET", "webhooks/keys");
      const publicKey = keys.find(({ current }) => current).publicKey;
      await isWrong({ first: received[0], wrong: received[1], received, keys, publicKey, sandbox });
      // The page shows the difference.
      const marked = attempt(page, 2).getByText("body differs from payload");
      assert.equal(await marked.count(), ["stale", "future", "alteredByte", "otherApp"].includes(mode) ? 1 : 0);
      if (await marked.count()) {
        await attempt(page, 2).getByText(/^Body \(\d+ bytes\)$/).click();
        assert.equal(await attempt(page, 2).locator("pre:has(mark)").textContent(), received[1].body);
        const different = await attempt(page, 2).locator("mark").textContent();
        assert.ok(different.length > 0 && different.length < 30, different);
      }
      const words = {
        wrongKey: "an unknown key (never published)",
        oldKey: "a retired key",
        rsa: "the RSA test key of the legacy header",
        missingHeader: "Unsigned",
        notAvailable: "x-ghl-signature contains no signature",
      };
      await attempt(page, 2).locator(".attempt-key").getByText(words[mode] ?? "the current key").waitFor();
      assert.equal(await attempt(page, 2).getByText("signature does not match body").count(), mode === "alteredByte" ? 1 : 0);
      check(page);
    });
  }

  test("there is a button for each tamper mode", async (t) => {
    const { sandbox } = await scene(t);
    await sendAndWait(sandbox);
    const page = await open(sandbox, "/1");
    const description = await sandbox.admin("GET", "openapi.json");
    const buttons = await page.locator("button[name=tamper]").allTextContents();
    assert.deepEqual(buttons.sort(), description.components.schemas.TamperMode.enum.sort());
    assert.deepEqual(buttons.sort(), Object.keys(modes).sort());
    check(page);
  });
});

test("the search supports text, contact, channel, status and failures, and is part of the URL", async (t) => {
  const { reply, sandbox } = await scene(t);
  await sandbox.admin("PUT", "contacts/grace1", { id: "grace1", name: "Grace Hopper", email: "grace@example.com" });
  const sms = await sendAndWait(sandbox, { message: 'An "odd" text' });
  reply.status = 500;
  await sendAndWait(sandbox, { type: "Email", contactId: "grace1", html: "<p>Dear Grace</p>", subject: "Order" });
  reply.status = 401;
  await sandbox.admin("PATCH", "webhooks", { retries: "none" });
  await sandbox.admin("POST", "events/trigger", { event: "INSTALL" });
  await attempts(sandbox, 3, 1);
  reply.status = 204;
  const page = await open(sandbox, "");
  const cases = [
    ["", [3, 2, 1]],
    ["?text=an+%22odd%22", [1]],
    [`?text=${sms.webhookId}`, [1]],
    [`?text=${sms.messageId}`, [1]],
    ["?text=install", [3]],
    ["?text=nothing-like-it", []],
    ["?contact=hopper", [2]],
    ["?contact=grace1", [2]],
    ["?channel=Email", [2]],
    ["?channel=SMS", [1]],
    ["?status=delivered", [1]],
    ["?status=pending", [2]],
    ["?status=failed", [3]],
    ["?status=givenUp", [3]],
    ["?status=500", [2]],
    ["?status=4xx", [3]],
    ["?failures=1", [3, 2]],
    ["?failures=1&channel=Email", [2]],
  ];
  const ids = async () => (await page.locator("#rows > li").evaluateAll((all) => all.map(({ id }) => Number(id.replace("delivery-", "")))));
  for (const [query, expected] of cases) {
    await page.goto(`${sandbox.ui}/deliveries${query}`);
    assert.deepEqual(await ids(), expected, query);
  }
  // The same with the form.
  await page.goto(`${sandbox.ui}/deliveries`);
  await page.keyboard.press("f");
  await page.locator("#delivery-1").waitFor({ state: "detached" });
  await page.getByLabel("Status").selectOption("4xx");
  await page.locator("#delivery-2").waitFor({ state: "detached" });
  await isAt(page, ({ searchParams }) => searchParams.get("failures") === "1" && searchParams.get("status") === "4xx");
  // Actions on the open delivery preserve the search.
  await page.locator("#delivery-3 a").click();
  await attempt(page, 1).waitFor();
  await page.keyboard.press("s");
  await attempt(page, 2).getByText("204", { exact: true }).waitFor();
  await isAt(page, /deliveries\/3\?.*failures=1/);
  await page.locator("#delivery-3").waitFor({ state: "detached" });
  await page.getByText("No deliveries match these filters.").waitFor();
  check(page);
});

test("a long list is loaded in parts", async (t) => {
  const { sandbox } = await scene(t);
  for (let number = 0; number < 60; number += 1) await sandbox.admin("POST", "events/trigger", { event: "UNINSTALL" });
  await attempts(sandbox, 60, 1);
  const page = await open(sandbox, "");
  assert.equal(await rows(page).count(), 50);
  await page.getByRole("link", { name: "Load more" }).click();
  await rows(page).nth(59).waitFor();
  assert.equal(await page.getByRole("link", { name: "Load more" }).count(), 0);
  check(page);
});

test("the list is navigated by keyboard, and frequent actions have shortcuts", async (t) => {
  const { receiver, sandbox } = await scene(t);
  await sendAndWait(sandbox, { message: "one" });
  await sendAndWait(sandbox, { message: "two" });
  const page = await open(sandbox, "");
  await page.keyboard.press("j");
  await page.getByRole("heading", { name: "Delivery 2" }).waitFor();
  await page.keyboard.press("j");
  await page.getByRole("heading", { name: "Delivery 1" }).waitFor();
  await page.keyboard.press("s");
  await attempt(page, 2).waitFor();
  await page.keyboard.press("k");
  await page.getByRole("heading", { name: "Delivery 2" }).waitFor();
  await page.keyboard.press("e");
  await page.keyboard.type('{"typed":1}');
  await page.keyboard.press("Control+Enter");
  await attempt(page, 2).waitFor();
  assert.deepEqual(receiver.received.map(({ body }) => JSON.parse(body).body ?? body), ["one", "two", "one", '{"typed":1}']);
  check(page);
});

test("earlier attempts are collapsed", async (t) => {
  const { sandbox } = await scene(t);
  await sendAndWait(sandbox);
  for (let number = 2; number <= 9; number += 1) {
    await sandbox.admin("POST", "deliveries/1/resend", {});
    await attempts(sandbox, 1, number);
  }
  const page = await open(sandbox, "/1");
  assert.ok(await attempt(page, 9).isVisible() && !(await attempt(page, 1).isVisible()));
  await page.getByText("3 earlier").click();
  await attempt(page, 1).getByText("scheduled").waitFor();
  // New attempts keep the list open.
  await page.keyboard.press("s");
  await page.getByText("4 earlier").waitFor();
  assert.ok(await attempt(page, 1).isVisible());
  check(page);
});

test("untrusted content is escaped", async (t) => {
  const evil = '</textarea></pre><script>alert(1)</script><img src=x onerror="alert(2)">';
  const receiver = await startReceiver();
  const sandbox = await startSandbox("--webhook-url", `${receiver.url}/${encodeURIComponent("<script>")}?a='&b=%3Cb%3E`);
  t.after(async () => {
    await sandbox.stop();
    await receiver.stop();
  });
  await sendAndWait(sandbox, { message: evil });
  await sandbox.admin("POST", "deliveries/1/replay", { body: `{"a": ${JSON.stringify(evil)}, "\\u003cb>": 1}` });
  await sandbox.admin("POST", "events/trigger", { event: "INSTALL", fields: { contactId: 7, messageType: [evil], body: { a: 1 }, webhookId: evil } });
  await attempts(sandbox, 1, 2);
  await attempts(sandbox, 2, 1);
  for (const path of ["/1", "/2", `?text=${encodeURIComponent(evil)}&status=${encodeURIComponent(evil)}`]) {
    const page = await open(sandbox, path);
    for (const summary of await page.locator("#content summary").all()) if (await summary.isVisible()) await summary.click();
    assert.equal(await page.locator("#page script, #page img[src=x], #page b").count(), 0);
    check(page);
  }
  const page = await open(sandbox, "/1");
  assert.ok((await page.locator("#payload").textContent()).includes(JSON.stringify(evil).slice(1, -1)));
  check(page);
});

test("the page works without scripts", async (t) => {
  const { receiver, sandbox } = await scene(t);
  await sendAndWait(sandbox, { message: "Plain" });
  const page = await openPage(browser, `${sandbox.ui}/deliveries?channel=SMS`, { javaScriptEnabled: false });
  await rows(page).first().click();
  await page.getByRole("button", { name: "Resend" }).click();
  await attempts(sandbox, 1, 2);
  await page.reload();
  await attempt(page, 2).waitFor();
  await page.getByRole("textbox", { name: "Body" }).fill("{\n}");
  await page.getByRole("button", { name: "Send edited" }).click();
  await attempts(sandbox, 1, 3);
  assert.equal(receiver.received[2].body, "{\n}");
  await isAt(page, "**/deliveries/1?channel=SMS");
});

test("the page fits a narrow screen, and axe reports no violations", async (t) => {
  const { reply, sandbox } = await scene(t);
  reply.status = 500;
  await sendAndWait(sandbox, { message: "A".repeat(500) });
  for (const tamperMode of ["stale", "rsa", "notAvailable"]) await sandbox.admin("POST", "deliveries/1/resend", { tamperMode });
  await attempts(sandbox, 1, 4);
  const axe = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
  for (const width of [360, 1280, 2560]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const path of ["", "/1"]) {
        const page = await open(sandbox, path, { viewport: { width, height: 740 }, colorScheme });
        for (const summary of await page.locator("#content summary").all()) if (await summary.isVisible()) await summary.click();
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${width} ${path}: ${overflow} too wide`);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run());
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
        assert.deepEqual(found, [], `${width} ${colorScheme} ${path}`);
        if (width === 360 && path === "/1") {
          assert.ok(!(await rows(page).first().isVisible()));
          await page.getByRole("link", { name: "← Webhooks" }).click();
          await rows(page).first().waitFor();
        }
        check(page);
        await page.context().close();
      }
    }
  }
});
