// The Conversations tab: messages on every channel, sent from both sides. The page is compared with the admin API and
// with a webhook receiver.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { check, isAt, live, openPage, painted, startBrowser } from "./support/browser.mjs";
import { startReceiver, startSandbox } from "./support/sandbox.mjs";

const ADA = "abc123def456";
const GRACE = "ve9EPM428h8vShlRW1KT";
const SPECIFICATION = readFileSync(new URL("../../spec/openapi.yaml", import.meta.url), "utf8");

let browser, receiver;
const waiting = new Set();

before(async () => {
  [browser, receiver] = await Promise.all([startBrowser(), startReceiver(notifyWaiters)]);
});
after(async () => {
  await browser.close();
  await receiver.stop();
});

/** Notifies the tests that wait for an event. */
function notifyWaiters({ body }) {
  const event = JSON.parse(body);
  for (const waiter of waiting) {
    if (waiter.wanted(event)) waiter.resolve(event);
  }
  return 200;
}

/** Runs `act` and returns the matching event that the receiver gets. */
async function eventAfter(act, wanted) {
  const waiter = { wanted };
  const event = new Promise((resolve, reject) => {
    waiter.resolve = resolve;
    waiter.timer = setTimeout(() => reject(new Error("no matching event was received")), 10_000);
  });
  waiting.add(waiter);
  try {
    await act();
    return await event;
  } finally {
    clearTimeout(waiter.timer);
    waiting.delete(waiter);
  }
}

/** Starts a separate sandbox and opens a conversation. */
async function open(t, { contact = ADA, query = "", options = {}, prepare = async () => {} } = {}) {
  const sandbox = await startSandbox("--webhook-url", receiver.url);
  t.after(() => sandbox.stop());
  await prepare(sandbox);
  const page = await openPage(browser, `${sandbox.ui}/conversations${contact && `/${contact}`}${query}`, options);
  t.after(() => page.context().close());
  await live(page);
  return { sandbox, page };
}

const inbound = (sandbox, fields) => sandbox.admin("POST", "simulate/inbound", { contactId: ADA, ...fields });
const messages = async (sandbox) => (await sandbox.admin("GET", "messages")).messages;
const bubble = (page, id) => page.locator(`[id="message-${id}"]`);
const rows = (page) => page.locator("#rows .row");

/** Returns the values of an `enum` of the specification. */
function valuesOf(schema) {
  const lines = SPECIFICATION.slice(SPECIFICATION.indexOf(`\n    ${schema}:\n`)).split("\n").slice(2);
  const first = lines.findIndex((line) => line.trim() === "enum:") + 1;
  const listed = lines.slice(first, lines.findIndex((line, place) => place >= first && !line.startsWith("        - ")));
  return listed.map((line) => line.match(/- (\w+)/)[1]);
}

test("the list has a row per contact, the newest activity first", async (t) => {
  const { sandbox, page } = await open(t, { contact: "" });
  const names = async () => (await rows(page).locator(".row-title").allTextContents()).join(" ");
  const silent = (await sandbox.admin("GET", "contacts")).contacts.length;
  await rows(page).nth(silent - 1).waitFor();

  const { messageId } = await sandbox.send({ contactId: GRACE, message: "Two\nlines" });
  await rows(page).first().getByText("Two lines").waitFor();
  await sandbox.admin("POST", "simulate/call", { direction: "inbound", contactId: ADA, durationSeconds: 60 });
  await rows(page).first().getByText("Call, completed, 1:00").waitFor();
  assert.match(await names(), /^Ada Grace Alan$/);

  const grace = rows(page).filter({ hasText: "Grace" });
  assert.equal(await grace.getByText("failed").count(), 0);
  await sandbox.admin("POST", "simulate/status", { messageId, status: "failed" });
  await grace.getByText("failed").waitFor();
  await inbound(sandbox, { contactId: GRACE, type: "Email", subject: "Lunch", html: "<p>Soup</p>" });
  await rows(page).first().getByText("Lunch").waitFor();
  assert.match(await names(), /^Grace Ada Alan$/);
  assert.equal(await rows(page).first().locator("time").getAttribute("datetime"), (await messages(sandbox)).at(-1).dateAdded);
  check(page);
});

test("status changes are shown live", async (t) => {
  const { sandbox, page } = await open(t);
  await page.evaluate(() => (window.sameDocument = true));
  const { messageId } = await sandbox.send({ message: "Line one\nline two" });
  const message = bubble(page, messageId);
  const status = message.locator("summary .badge");
  await message.waitFor();
  assert.equal(await message.locator(".message-text").innerText(), "Line one\nline two");
  assert.equal(await status.innerText(), "pending");
  await message.locator("summary").click();
  for (const next of ["delivered", "read"]) {
    await sandbox.admin("POST", "simulate/status", { messageId, status: next });
    await status.filter({ hasText: next }).waitFor();
  }
  assert.deepEqual(await message.locator(".history .step").allTextContents(), ["pending", "delivered", "read"]);
  assert.equal(await message.getByRole("button", { name: "delivered" }).count(), 0);

  const { messageId: failing } = await sandbox.send({ message: "To an unknown number" });
  await sandbox.admin("POST", "simulate/status", { messageId: failing, status: "failed", error: "no such number" });
  await bubble(page, failing).locator(".reason", { hasText: "no such number" }).waitFor();
  assert.ok(await page.evaluate(() => window.sameDocument));
  check(page);
});

/** Channels whose name in `messageTypeString` is not that of requests in upper case. `undefined`: no name is known. */
const TYPE_STRINGS = {
  IG: "TYPE_INSTAGRAM",
  FB: "TYPE_FACEBOOK",
  Custom: "TYPE_CUSTOM_SMS",
  Campaign_VoiceMail: "TYPE_VOICEMAIL",
  ALL_IN_ONE_CHAT: undefined,
};

test("messages from the contact are sent on each channel, with their webhooks", async (t) => {
  const { sandbox, page } = await open(t);
  const channels = valuesOf("InboundMessageType");
  assert.ok(channels.includes("SMS") && channels.includes("FORM_SUBMISSION") && channels.length > 15, `${channels}`);
  const offered = await page.locator("[name=inbound] option").allTextContents();
  assert.deepEqual([...offered].sort(), [...channels].sort());
  assert.equal(await page.locator("[name=inbound]").inputValue(), "SMS");

  for (const channel of channels) {
    const text = `By ${channel}\nof "Ada" <ada>`;
    const isCall = channel.endsWith("Call");
    await page.locator("[name=inbound]").selectOption(channel);
    if (isCall) {
      await page.getByLabel("Outcome").selectOption("answered");
      await page.getByLabel("Duration").fill("1:30");
      await page.getByRole("textbox", { name: "Recording" }).fill("https://files.example/recording.mp3");
    } else {
      await page.getByPlaceholder("Write a message").fill(text);
    }
    if (channel === "Email") {
      await page.getByLabel("Subject").fill("About Ada");
      await page.getByLabel("HTML").fill("<p>By email</p>");
    }
    const send = () => page.getByRole("button", { name: "Send" }).click();
    const event = await eventAfter(send, (each) => each.type === "InboundMessage");
    const typeString = channel in TYPE_STRINGS ? TYPE_STRINGS[channel] : `TYPE_${channel.toUpperCase()}`;
    assert.equal(event.messageTypeString, typeString);
    assert.equal(event.contactId, ADA);
    assert.equal(event.direction, "inbound");
    if (isCall) {
      assert.deepEqual([event.callStatus, event.callDuration, event.attachments], ["completed", 90, ["https://files.example/recording.mp3"]]);
    } else if (channel === "Email") {
      assert.deepEqual([event.subject, event.body, event.plainText], ["About Ada", "<p>By email</p>", text]);
    } else if (channel !== "Campaign_VoiceMail") {
      assert.equal(event.body, text);
    }
    const shown = bubble(page, event.messageId);
    await shown.waitFor();
    assert.match(await shown.getAttribute("class"), /\binbound\b/);
    if (isCall) assert.match(await shown.innerText(), /Incoming (\w+ )?call\s+completed\s+1:30/);
    for (const field of await page.locator(".composer :is(input:not([type=radio]), textarea)").all()) {
      assert.equal(await field.inputValue(), "", `${channel}: ${await field.getAttribute("name")}`);
    }
    assert.equal(await page.locator("[name=inbound]").inputValue(), channel, "the channel stays");
  }
  assert.equal((await messages(sandbox)).length, channels.length);
  check(page);
});

test("calls and voicemail show their outcome", async (t) => {
  const { sandbox, page } = await open(t);
  const call = async (by, outcome, duration) => {
    await page.getByLabel(by === "contact" ? "From contact" : "From business").check();
    await page.locator(by === "contact" ? "[name=inbound]" : "[name=outbound]").selectOption("Call");
    await page.getByLabel("Outcome").selectOption(outcome);
    await page.getByLabel("Duration").fill(duration);
    return eventAfter(() => page.getByRole("button", { name: "Send" }).click(), (event) => event.messageType === "CALL");
  };
  for (const [by, outcome, duration, words, status, seconds] of [
    ["contact", "busy", "", /Incoming call\s+busy/, "busy", undefined],
    ["contact", "no-answer", "", /Incoming call\s+no answer/, "no-answer", undefined],
    ["contact", "voicemail", "15", /Incoming call\s+voicemail\s+0:15/, undefined, undefined],
    ["location", "answered", "1:01:05", /Outgoing call\s+completed\s+1:01:05/, "completed", 3665],
  ]) {
    const event = await call(by, outcome, duration);
    assert.equal(event.type, by === "contact" ? "InboundMessage" : "OutboundMessage");
    assert.deepEqual([event.callStatus, event.callDuration], [status, seconds]);
    await bubble(page, event.messageId).waitFor();
    assert.match(await bubble(page, event.messageId).innerText(), words);
  }
  // The status of a pending call can be changed.
  const { messageId } = await call("contact", "pending", "");
  await bubble(page, messageId).locator("summary").click();
  const moved = await eventAfter(
    () => bubble(page, messageId).getByRole("button", { name: "no-answer" }).click(),
    (event) => event.messageId === messageId,
  );
  assert.equal(moved.callStatus, "no-answer");
  await bubble(page, messageId).getByText("no answer").waitFor();

  const voicemail = await inbound(sandbox, { type: "Campaign_VoiceMail", attachments: ["https://files.example/voice.mp3"] });
  const link = bubble(page, voicemail.id).getByRole("link", { name: "voice.mp3" });
  assert.equal(await link.getAttribute("href"), "https://files.example/voice.mp3");
  await bubble(page, voicemail.id).getByText("Voicemail", { exact: true }).waitFor();
  check(page);
});

test("the HTML of an email is shown in a sandboxed frame", async (t) => {
  const { sandbox, page } = await open(t);
  const elsewhere = await startReceiver();
  t.after(() => elsewhere.stop());
  const html = `<h1>Good evening</h1><script>parent.ran = top.ran = 1; document.querySelector("h1").textContent = "ran"</script>
    <img src="${elsewhere.url}/pixel.png" onerror="top.ran = 2"><meta http-equiv="refresh" content="0;url=${elsewhere.url}">
    <form action="${elsewhere.url}"><button>Post</button></form><a href="${elsewhere.url}" target="_top">Leave</a>`;
  const email = await inbound(sandbox, {
    type: "Email", subject: "Tonight", html, message: "In words", emailFrom: "ada@example.com", emailTo: "desk@example.com",
    emailCc: ["one@example.com", "two@example.com"], emailBcc: ["three@example.com"],
  });
  const message = bubble(page, email.id);
  const frame = message.frameLocator("iframe");
  await frame.getByRole("heading", { name: "Good evening" }).waitFor();
  assert.equal(await message.locator("iframe").evaluate((element) => element.contentDocument), null);
  assert.equal(await message.locator("iframe").getAttribute("sandbox"), "");
  // Neither forms nor links navigate.
  await frame.getByRole("button", { name: "Post" }).click();
  await frame.getByRole("link", { name: "Leave" }).click();
  await frame.getByRole("heading", { name: "Good evening" }).waitFor();
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.match(page.url(), /\/_sandbox\/ui\/conversations\/abc123def456$/);

  for (const words of ["Tonight", "desk@example.com", "one@example.com, two@example.com", "three@example.com"]) {
    await message.getByText(words).waitFor();
  }
  await message.getByText("Plain text", { exact: true }).click();
  await message.getByText("In words").waitFor();
  // A refresh does not reload the frame.
  await frame.locator("h1").evaluate((heading) => (heading.id = "preserved"));
  const { messageId } = await sandbox.send({ message: "And another" });
  await bubble(page, messageId).waitFor();
  await frame.locator("#preserved").waitFor();
  assert.deepEqual(elsewhere.received, [], "no request leaves the page");
  // The browser logs what it blocked, and reports a request that it did not send.
  const refused = (problem) => /^console: .*(sandboxed|Content Security Policy)/s.test(problem) || problem.endsWith("pixel.png");
  assert.deepEqual(page.problems.filter((problem) => !refused(problem)), []);
});

test("messages from the business can be sent, and their status changed", async (t) => {
  const { sandbox, page } = await open(t);
  await page.getByLabel("From business").check();
  await page.locator("[name=outbound]").selectOption("SMS");
  await page.getByPlaceholder("Write a message").fill("From the desk");
  await page.getByText("Attachments and provider").click();
  await page.getByLabel("Attachment URLs, one per line").fill("https://files.example/a/menu.pdf\n\n  https://files.example/b.png ");
  const sent = await eventAfter(() => page.getByRole("button", { name: "Send" }).click(), (event) => event.body === "From the desk");
  assert.deepEqual([sent.type, sent.status], ["OutboundMessage", "pending"]);
  assert.deepEqual(sent.attachments, ["https://files.example/a/menu.pdf", "https://files.example/b.png"]);
  const [stored] = await messages(sandbox);
  assert.deepEqual([stored.id, stored.direction, stored.channel, stored.contactId], [sent.messageId, "outbound", "SMS", ADA]);

  const message = bubble(page, sent.messageId);
  assert.match(await message.getAttribute("class"), /\boutbound\b/);
  assert.ok(await page.getByLabel("From business").isChecked(), "the sender is preserved");
  assert.equal(await message.getByRole("link", { name: "menu.pdf" }).getAttribute("href"), "https://files.example/a/menu.pdf");
  await message.locator("summary").click();
  const delivered = await eventAfter(
    () => message.getByRole("button", { name: "delivered" }).click(),
    (event) => event.messageId === sent.messageId,
  );
  assert.equal(delivered.status, "delivered");
  await message.locator("summary .badge", { hasText: "delivered" }).waitFor();
  assert.equal(await message.locator("details").getAttribute("open"), "", "the details stay open");
  await message.getByLabel("Failure reason").fill("the number is ported");
  const failed = await eventAfter(() => page.keyboard.press("Enter"), (event) => event.messageId === sent.messageId);
  assert.equal(failed.status, "failed");
  await message.locator(".reason", { hasText: "the number is ported" }).waitFor();
  assert.equal((await messages(sandbox))[0].history.at(-1).error, "the number is ported");

  const href = await message.getByRole("link", { name: "Timeline" }).getAttribute("href");
  assert.equal(href, `/_sandbox/ui/messages/${sent.messageId}`);
  check(page);
});

test("rejected messages show an error and preserve the input", async (t) => {
  const { sandbox, page } = await open(t);
  const send = page.getByRole("button", { name: "Send" });
  await send.click();
  await page.locator("#notice", { hasText: "nothing to send; enter a message or add an attachment" }).waitFor();

  await page.locator("[name=inbound]").selectOption("Call");
  await page.getByLabel("Duration").fill("a while");
  await page.getByRole("textbox", { name: "Recording" }).fill("https://files.example/kept.mp3");
  await send.click();
  await page.locator("#notice", { hasText: 'duration "a while" is invalid' }).waitFor();
  assert.equal(await page.getByRole("textbox", { name: "Recording" }).inputValue(), "https://files.example/kept.mp3");
  assert.equal(await page.getByLabel("Duration").inputValue(), "a while");
  // The page stays live and preserves the input.
  await sandbox.send({ message: "In the meantime" });
  await page.locator(".thread").getByText("In the meantime").waitFor();
  assert.equal(await page.getByLabel("Duration").inputValue(), "a while");
  assert.equal(await page.locator("[name=inbound]").inputValue(), "Call");
  assert.equal((await messages(sandbox)).length, 1);

  await page.getByLabel("Duration").fill("");
  await send.click();
  await page.locator(".thread").getByText("Incoming call").waitFor();
  await page.locator("#notice").filter({ hasNotText: "duration" }).waitFor({ state: "attached" });
  const refused = page.problems.filter((problem) => !/status of 400/.test(problem));
  assert.deepEqual(refused, []);
});

test("a search filters list and thread, and is part of the URL", async (t) => {
  const { sandbox, page } = await open(t, {
    prepare: async (sandbox) => {
      await sandbox.send({ message: "Red wine" });
      await inbound(sandbox, { message: "White wine" });
      await inbound(sandbox, { type: "Email", subject: "Beer" });
      const { messageId } = await sandbox.send({ contactId: GRACE, message: "Water" });
      await sandbox.admin("POST", "simulate/status", { messageId, status: "failed" });
    },
  });
  const thread = page.locator(".thread .message");
  const shown = async (names, count) => {
    await page.waitForFunction(
      ([names, count]) =>
        [...document.querySelectorAll("#rows .row-title")].map((each) => each.textContent).join(" ") === names &&
        document.querySelectorAll(".thread .message").length === count,
      [names, count],
    );
  };
  await shown("Grace Ada Alan", 3);
  await page.getByPlaceholder("Message or contact").fill("WINE");
  await shown("Ada", 2);
  await isAt(page, /\/conversations\/abc123def456\?text=WINE/);
  await page.getByText("1 message is hidden by the current filters.").waitFor();
  await page.getByPlaceholder("Message or contact").fill("ada@example.com");
  await shown("Ada", 3);
  await page.getByPlaceholder("Message or contact").fill("");
  await shown("Grace Ada Alan", 3);

  await page.locator("#filter [name=channel]").selectOption("Email");
  await shown("Ada", 1);
  assert.match(await thread.innerText(), /Beer/);
  await page.getByText("2 messages are hidden by the current filters.").waitFor();
  await isAt(page, /channel=Email/);
  const other = await openPage(browser, page.url());
  assert.equal(await other.locator(".thread .message").count(), 1, "the URL can be shared");
  await other.context().close();
  // A sent message is shown even if the search does not match it.
  await page.locator("[name=inbound]").selectOption("SMS");
  await page.getByPlaceholder("Write a message").fill("And cheese");
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator(".thread").getByText("And cheese").waitFor();
  await isAt(page, /\/conversations\/abc123def456$/);
  await shown("Ada Grace Alan", 4);

  await page.getByLabel("Failures only").check();
  await shown("Grace", 0);
  await page.getByText("4 messages are hidden by the current filters.").getByRole("link", { name: "Clear filters" }).click();
  await shown("Ada Grace Alan", 4);
  await page.locator("#filter [name=status]").selectOption("failed");
  await shown("Grace", 0);
  assert.equal((await messages(sandbox)).length, 5);
  check(page);
});

test("frequent actions have shortcuts", async (t) => {
  const { sandbox, page } = await open(t, { contact: "" });
  for (const contactId of ["cI08i1Bls3iTB9bKgFJh", GRACE, ADA]) await inbound(sandbox, { contactId, message: "Hi" });
  await rows(page).first().getByText("Ada").waitFor();
  for (const [key, name] of [["j", "Ada"], ["j", "Grace"], ["k", "Ada"]]) {
    await page.keyboard.press(key);
    await page.getByRole("heading", { level: 2, name }).first().waitFor();
  }
  await page.keyboard.press("r");
  const text = page.getByPlaceholder("Write a message");
  assert.ok(await text.evaluate((field) => field === document.activeElement));
  await page.keyboard.type("rjk, by keys alone");
  const event = await eventAfter(() => page.keyboard.press("Control+Enter"), (each) => each.body === "rjk, by keys alone");
  await bubble(page, event.messageId).waitFor();
  assert.equal(event.contactId, ADA);
  assert.ok(await text.evaluate((field) => field === document.activeElement), "the field keeps the focus");
  check(page);
});

test("a long conversation starts at its end and preserves the scroll position", async (t) => {
  const { sandbox, page } = await open(t, {
    contact: "",
    prepare: async (sandbox) => {
      for (let number = 1; number <= 130; number += 1) await inbound(sandbox, { message: `Number ${number}.` });
    },
  });
  await rows(page).filter({ hasText: "Ada" }).click();
  const message = (number) => page.locator(".thread").getByText(`Number ${number}.`, { exact: true });
  const end = () => page.locator(".thread").evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight);
  await message(130).waitFor();
  assert.equal(await page.locator(".thread .message").count(), 50);
  assert.ok(await page.evaluate(() => document.documentElement.scrollHeight <= innerHeight), "the page itself does not scroll");
  assert.ok((await end()) < 2);
  await inbound(sandbox, { message: "Number 131." });
  await message(131).waitFor();
  assert.ok((await end()) < 2, "it stays at its end");

  await message(90).scrollIntoViewIfNeeded();
  await painted(page);
  const before = (await message(90).boundingBox()).y;
  const { id } = await inbound(sandbox, { message: "Number 132." });
  await bubble(page, id).waitFor({ state: "attached" });
  assert.ok(Math.abs((await message(90).boundingBox()).y - before) < 60, "the scroll position is preserved");

  await page.getByRole("link", { name: "Load older messages" }).click();
  await message(1).waitFor();
  await isAt(page, /rows=150/);
  assert.equal(await page.locator(".thread .message").count(), 132);
  // A sent message is scrolled into view.
  await page.getByPlaceholder("Write a message").fill("Number 133.");
  await page.getByRole("button", { name: "Send" }).click();
  await message(133).waitFor();
  assert.ok((await end()) < 2);
  check(page);
});

test("a contact is created and can send a message", async (t) => {
  const { sandbox, page } = await open(t, { contact: "" });
  await page.getByText("New contact").click();
  await page.getByLabel("Name").fill("Jean <b>Bartik</b>");
  await page.getByLabel("Phone").fill("+15037081299");
  await page.getByRole("button", { name: "Create contact" }).click();
  await page.getByRole("heading", { level: 2, name: "Jean <b>Bartik</b>" }).waitFor();
  const added = (await sandbox.admin("GET", "contacts")).contacts.find((contact) => contact.phone === "+15037081299");
  assert.equal(added.name, "Jean <b>Bartik</b>");
  await isAt(page, `**/conversations/${added.id}`);
  await page.getByPlaceholder("Write a message").fill("My first one");
  const event = await eventAfter(() => page.getByRole("button", { name: "Send" }).click(), (each) => each.body === "My first one");
  assert.equal(event.contactId, added.id);
  await bubble(page, event.messageId).waitFor();

  await page.getByText("New contact").click();
  await page.getByLabel("Contact ID (optional)").fill(ADA);
  await page.getByRole("button", { name: "Create contact" }).click();
  await page.locator("#notice", { hasText: `contact ID ${ADA} already exists` }).waitFor();
  assert.equal(await page.getByLabel("Contact ID (optional)").inputValue(), ADA);
  assert.deepEqual(page.problems.filter((problem) => !/status of 422/.test(problem)), []);
});

test("contact IDs that browsers remove from URLs are rejected", async (t) => {
  const { sandbox, page } = await open(t, { contact: "" });
  await page.getByText("New contact").click();
  const before = (await sandbox.admin("GET", "contacts")).contacts.length;
  for (const id of [".", " .. "]) {
    await page.getByLabel("Contact ID (optional)").fill(id);
    await page.getByRole("button", { name: "Create contact" }).click();
    await page.locator("#notice", { hasText: `contact ID "${id.trim()}" is invalid` }).waitFor();
  }
  assert.equal((await sandbox.admin("GET", "contacts")).contacts.length, before);
  await page.getByLabel("Contact ID (optional)").fill("  ...  ");
  await page.getByLabel("Name").fill("  Jean  ");
  await page.getByRole("button", { name: "Create contact" }).click();
  await page.getByRole("heading", { level: 2, name: "Jean" }).waitFor();
  assert.equal((await sandbox.admin("GET", "contacts/...")).name, "Jean");
  assert.deepEqual(page.problems.filter((problem) => !/status of 422/.test(problem)), []);
});

test("a long message is truncated and can be downloaded", async (t) => {
  const text = "Ünd <b>so</b> weiter. ".repeat(10_000);
  const { sandbox, page } = await open(t, { prepare: (sandbox) => sandbox.send({ message: text }) });
  const [{ id }] = await messages(sandbox);
  const shown = (await bubble(page, id).locator(".message-text").innerText()).split("… ")[0];
  assert.ok(text.startsWith(shown) && shown.length > 1000 && shown.length < 5000, `${shown.length} characters`);
  const link = bubble(page, id).getByRole("link", { name: `${Buffer.byteLength(text) - Buffer.byteLength(shown)} more bytes` });
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  assert.equal(readFileSync(await download.path(), "utf8"), text);
  assert.equal(download.suggestedFilename(), `message-${id}.txt`);
  check(page);
});

test("a delivery links to its message even if it is old", async (t) => {
  const { sandbox, page } = await open(t, {
    contact: "",
    prepare: async (sandbox) => {
      for (let number = 1; number <= 102; number += 1) await inbound(sandbox, { message: `Number ${number}.` });
    },
  });
  const first = (await messages(sandbox)).find(({ request }) => request.message === "Number 1.").id;
  const { deliveries } = await sandbox.admin("GET", `deliveries?messageId=${first}`);
  await page.goto(`${sandbox.ui}/deliveries/${deliveries[0].id}`);
  await page.locator(`.detail a[href*="/messages/"]`).click();
  await page.locator("#content").getByRole("link", { name: "Conversation", exact: true }).click();
  await bubble(page, first).getByText("Number 1.", { exact: true }).waitFor();
  assert.equal(await page.locator(".thread .message").count(), 1);
  await page.getByText("101 messages are hidden by the current filters.").getByRole("link", { name: "Clear filters" }).click();
  await page.locator(".thread").getByText("Number 102.", { exact: true }).waitFor();
  assert.equal(await page.locator(".thread .message").count(), 50);
  check(page);
});

test("sending uses the current search, and a search preserves the input", async (t) => {
  const { sandbox, page } = await open(t, {
    prepare: async (sandbox) => {
      await inbound(sandbox, { message: "Red wine" });
      await inbound(sandbox, { message: "Beer" });
    },
  });
  const count = (number) => page.waitForFunction((number) => document.querySelectorAll(".thread .message").length === number, number);
  const text = page.getByPlaceholder("Write a message");
  await text.fill("White wi");
  await page.getByPlaceholder("Message or contact").fill("wine");
  await count(1);
  assert.equal(await text.inputValue(), "White wi");
  await text.fill("White wine");
  await page.getByRole("button", { name: "Send" }).click();
  await count(2);
  await isAt(page, /abc123def456\?text=wine$/); // the search is preserved
  await page.getByPlaceholder("Message or contact").fill("");
  await count(3);
  await text.fill("More wine");
  await page.getByRole("button", { name: "Send" }).click();
  await count(4);
  await isAt(page, /abc123def456$/); // a removed search is not restored
  assert.equal((await messages(sandbox)).length, 4);
  check(page);
});

test("untrusted content is escaped, and only web URLs are links", async (t) => {
  const odd = `odd/..?&#"'<img src=x onerror=alert(1)>`;
  const { sandbox, page } = await open(t, {
    contact: "",
    prepare: (sandbox) => sandbox.admin("PUT", `contacts/${encodeURIComponent(odd)}`, { name: "<script>alert(1)</script>", phone: "+15035550130" }),
  });
  const attachments = ["javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "file:///etc/passwd", "//other.example/x", "https://files.example/<b>.png"];
  const message = `<img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}`;
  const sent = await inbound(sandbox, { contactId: odd, message, attachments });
  await rows(page).first().getByText(message).waitFor();
  await rows(page).first().click();
  await bubble(page, sent.id).getByText(message).waitFor();
  assert.equal(await page.getByRole("heading", { level: 2 }).first().innerText(), "<script>alert(1)</script>");
  const links = await bubble(page, sent.id).locator(".attachments a").evaluateAll((all) => all.map((each) => each.getAttribute("href")));
  assert.deepEqual(links, ["https://files.example/<b>.png"]);
  for (const text of attachments.slice(0, 4)) await bubble(page, sent.id).getByText(text).waitFor();
  await page.getByPlaceholder("Write a message").fill("To an odd one");
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator(".thread").getByText("To an odd one").waitFor();
  assert.equal((await messages(sandbox)).at(-1).contactId, odd);
  check(page);
});

test("the page fits a narrow screen", async (t) => {
  const { sandbox, page } = await open(t, { contact: "", options: { viewport: { width: 360, height: 740 } } });
  const long = "a".repeat(300);
  await inbound(sandbox, { message: long, attachments: [`https://files.example/${long}`] });
  await inbound(sandbox, { type: "Email", subject: long, html: "<p>Hello</p>", emailCc: [`${long}@example.com`] });
  const fits = async () => assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
  await rows(page).first().getByText("Ada").waitFor();
  await fits();
  await rows(page).first().click();
  await page.frameLocator("iframe").getByText("Hello").waitFor();
  await fits();
  for (const channel of ["Call", "Email"]) {
    await page.locator("[name=inbound]").selectOption(channel);
    await fits();
  }
  await page.getByLabel("Subject").fill("Short");
  await page.getByPlaceholder("Write a message").fill("From a telephone");
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator(".thread").getByText("From a telephone").waitFor();
  await page.getByRole("link", { name: "← Conversations" }).click();
  await rows(page).first().getByText("Short").waitFor();
  await fits();
  check(page);
});
