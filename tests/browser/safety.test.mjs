// Untrusted content is escaped. A table of hostile inputs is sent through every source of displayed content. Afterwards
// no script has run, no request has left, the URL is unchanged, and the page contains no unexpected elements. A witness
// server of another origin must not receive anything.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";

import { check, live, openPage, startBrowser } from "./support/browser.mjs";
import { mails, startWitness, texts } from "./support/hostile.mjs";
import { startSandbox } from "./support/sandbox.mjs";
import { until } from "./support/story.mjs";

let browser, witness, inputs;
before(async () => {
  [browser, witness] = await Promise.all([startBrowser(), startWitness()]);
  inputs = Object.entries(texts(witness.url));
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await witness?.stop();
});

/** Messages of the browser about blocked actions of email HTML. */
const REFUSED = /Content Security Policy|content security policy|sandbox|Blocked|blocked|Not allowed|frame-ancestors|Unsafe attempt|violates/;
const tolerates = (text, url) => REFUSED.test(text) || url.includes("/emails/") || text.includes("/emails/");

/** Lists elements and attributes that could run scripts, load, send, navigate, or control the scripts of the page. */
function audit() {
  const found = [];
  const allowed = [...document.querySelectorAll("head > script")];
  if (allowed.length !== 2) found.push(`${allowed.length} scripts in the head`);
  for (const element of document.querySelectorAll("*")) {
    const name = element.localName;
    if (["script", "link", "base", "object", "embed", "style", "svg", "hx-partial"].includes(name) && element.parentNode !== document.head) {
      found.push(`<${name}>`);
    }
    if (name === "meta" && element.httpEquiv) found.push(element.outerHTML);
    if (name === "iframe" && (element.getAttribute("sandbox") !== "" || !element.src.startsWith(`${location.origin}/_sandbox/ui/emails/`))) {
      found.push(element.outerHTML);
    }
    for (const { name: attribute, value } of element.attributes) {
      if (/^on/i.test(attribute) || ["style", "srcdoc", "ping", "srcset", "formaction", "autofocus"].includes(attribute)) {
        found.push(`${name} ${attribute}=${value}`);
      }
      if (["href", "src", "action", "data-live-url"].includes(attribute)) {
        // Invalid URLs lead nowhere.
        const { protocol, origin } = URL.canParse(value, location.href) ? new URL(value, location.href) : location;
        const leaves = origin !== location.origin;
        const isLink = name === "a" && ["http:", "https:"].includes(protocol) && element.target === "_blank" && /noopener noreferrer/.test(element.rel);
        if (leaves && !isLink) found.push(`${name} ${attribute}=${value.slice(0, 200)}`);
      }
    }
  }
  // The IDs that scripts use must be unique.
  for (const id of ["page", "live", "clock", "notice", "content", "toast", "help", "single-keys"]) {
    const elements = document.querySelectorAll(`[id="${id}"]`);
    if (elements.length !== 1) found.push(`${elements.length} times #${id}`);
  }
  return found;
}

/** Returns the htmx attributes of a page with their values. */
const hypermedia = () =>
  [...document.querySelectorAll("*")].flatMap((element) =>
    [...element.attributes].filter(({ name }) => /^(data-)?hx-/.test(name)).map(({ name, value }) => `${element.localName} ${name}=${value}`),
  );

/** The htmx attributes of the templates. */
const OWN = [
  /^div hx-(boost:inherited|history-elt|status:[45]xx:inherited)=/,
  /^(span|div|form) hx-morph-skip(-children)?=$/,
  /^form hx-status:422=swap:outerMorph target:#page select:#page push:false replace:false$/,
  /^form hx-(get|push-url|replace-url|target|select|swap|trigger|boost|sync)=(\/_sandbox\/ui\/[^ ]*|true|false|#page|outerMorph|this:replace)?$/,
  /^a hx-boost=false$/,
];

async function assertHarmless(page, url) {
  assert.equal(page.url(), url, "the page is where it was");
  assert.equal(page.context().pages().length, 1, "no window was opened");
  for (const frame of page.frames()) {
    // A blocked frame shows an error page of the browser.
    const isHere = frame.url() === "" || frame.url() === "chrome-error://chromewebdata/" || frame.parentFrame()?.url().includes("/emails/") || frame.url().startsWith(new URL(url).origin);
    assert.ok(isHere, `a frame is at ${frame.url()}`);
  }
  assert.equal(await page.evaluate(() => window.pwned), undefined, "a script ran");
  assert.deepEqual(await page.evaluate(audit), []);
  const foreign = (await page.evaluate(hypermedia)).filter((attribute) => !OWN.some((own) => own.test(attribute)));
  assert.deepEqual(foreign, [], "attributes that no template has");
  assert.deepEqual(witness.seen, [], "the witness heard of it");
  check(page);
}

async function look(sandbox, paths) {
  const page = await openPage(browser, sandbox.ui, { tolerates });
  page.setDefaultTimeout(60_000); // long inputs take longer
  for (const path of paths) {
    const { href: url } = new URL(sandbox.ui + path); // browsers normalise URLs
    await page.goto(url);
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    await assertHarmless(page, url).catch((error) => {
      error.message = `${path}: ${error.message}`;
      throw error;
    });
  }
}

/** Returns the pages of all requests in the ledger. */
const requests = async (sandbox) =>
  (await sandbox.admin("GET", "requests?limit=500")).requests.map(({ id }) => `/requests/${encodeURIComponent(id)}`);
const deliveries = async (sandbox) =>
  (await sandbox.admin("GET", "deliveries?limit=500")).deliveries.map(({ id }) => `/deliveries/${id}`);
/** Ignores rejections: rejected input is displayed as well. */
const attempt = (promise) => promise.catch(() => undefined);

/** Sends a raw request. */
async function raw(sandbox, text) {
  const { hostname, port } = new URL(sandbox.facts.baseUrl);
  const socket = connect(Number(port), hostname);
  socket.end(Buffer.from(text.replaceAll("\n", "\r\n"), "utf8"));
  socket.on("error", () => {});
  socket.resume();
  await new Promise((resolve) => socket.on("close", resolve));
}
const chunks = (all, size) => Array.from({ length: Math.ceil(all.length / size) }, (_, number) => all.slice(number * size, (number + 1) * size));
/** Removes the characters that request headers cannot contain. */
const inHead = (text) => text.replace(/[\r\n\0]/g, "").slice(0, 2000);
/** Replaces unpaired surrogates. */
const wellFormed = (text) => Buffer.from(text).toString();
const inPath = (text) => encodeURI(wellFormed(inHead(text))).replaceAll("%3C", "<").replaceAll("%3E", ">").replaceAll("%22", '"');

/** The sources of displayed content. Each submits all inputs and returns the pages that show them. */
const PLACES = {
  "text of messages": async (sandbox, inputs) => {
    for (const [, text] of inputs) await sandbox.send({ message: text });
    return ["", `/conversations/${sandbox.facts.contactId}`];
  },
  "subject, addresses and HTML of emails": async (sandbox, inputs) => {
    for (const [, text] of inputs) {
      await sandbox.send({ type: "Email", subject: text, html: text, message: text });
      await sandbox.send({ type: "Email", subject: "x", html: "<p>x", emailFrom: text, emailTo: text, emailCc: [text], emailBcc: [text], replyMessageId: text });
    }
    const refused = (await sandbox.admin("GET", "requests?limit=500")).requests.filter(({ status }) => status >= 400);
    return ["", `/conversations/${sandbox.facts.contactId}`, ...refused.slice(0, 5).map(({ id }) => `/requests/${id}`)];
  },
  attachments: async (sandbox, inputs) => {
    for (const [, text] of inputs) {
      const addresses = [text, `https://${text}`, `${witness.url}/${text}`, `https://example.com/${encodeURIComponent(wellFormed(text))}`];
      for (const address of addresses) await sandbox.send({ message: "x", attachments: [address] });
    }
    return [`/conversations/${sandbox.facts.contactId}`, `/conversations/${sandbox.facts.contactId}?rows=500`];
  },
  contacts: async (sandbox, inputs) => {
    const paths = ["?rows=500"];
    for (const [, text] of inputs) {
      const id = [...wellFormed(text)].slice(0, 40).join("");
      const fields = {
        name: text, firstName: text, lastName: text, phone: text, email: text, additionalPhones: [text], additionalEmails: [text], tags: [text],
        notes: [{ id: text, body: text, userId: text, dateAdded: text }], customFields: [{ id: text, value: text }, { [text]: text }],
        fields: { companyName: text, [text]: { [text]: text } }, dateAdded: text, dateUpdated: text,
      };
      await attempt(sandbox.admin("PUT", `contacts/${encodeURIComponent(id)}`, fields));
      await attempt(sandbox.send({ contactId: id, message: "x" }));
    }
    const { contacts } = await sandbox.admin("GET", "contacts?limit=1000");
    assert.ok(contacts.length > inputs.length / 2, "most of them exist");
    const ids = contacts.map(({ id }) => encodeURIComponent(id));
    return [...paths, "/contacts?rows=500", ...ids.flatMap((id) => [`/conversations/${id}`, `/contacts/${id}`, `/contacts/${id}/edit`])];
  },
  "headers of requests": async (sandbox, inputs) => {
    const lines = inputs.map(([, text], number) => `x-${number}: ${inHead(text)}`);
    const names = ["onclick", "hx-get", "hx-on--load", "x'`|~!#$%&*+.^_", "__proto__", "constructor"].map((name) => `${name}: ${witness.url}`);
    for (const some of chunks([...lines, ...names], 6)) {
      await raw(sandbox, `POST /conversations/messages HTTP/1.1\nhost: x\nconnection: close\ncontent-length: 2\n${some.join("\n")}\n\n{}`);
    }
    return ["/requests?rows=500", ...(await requests(sandbox))];
  },
  "path, query and method of requests": async (sandbox, inputs) => {
    for (const [, text] of inputs) {
      for (const target of [`/${inPath(text)}?${inPath(text)}=${inPath(text)}`, `/x?a=${encodeURIComponent(wellFormed(inHead(text)))}`]) {
        await raw(sandbox, `GET ${target.replaceAll(" ", "%20")} HTTP/1.1\nhost: x\nconnection: close\n\n`);
      }
    }
    await raw(sandbox, "ONCLICK'!#$%&*+-.^_`|~ /x HTTP/1.1\nhost: x\nconnection: close\n\n");
    return ["/requests?rows=500", ...(await requests(sandbox))];
  },
  "JSON of requests": async (sandbox, inputs) => {
    for (const some of chunks(inputs, 6)) {
      const nested = some.map(([, text]) => [text, [text, { [text]: null }]]);
      await sandbox.send({ ...Object.fromEntries(some.map(([, text]) => [text, text])), nested: Object.fromEntries(nested), message: nested });
    }
    return ["/requests?rows=500", ...(await requests(sandbox))];
  },
  "what is no JSON": async (sandbox, inputs) => {
    for (const [, text] of inputs) {
      await sandbox.api("POST", "/conversations/messages", `${text}{"${text}`, { "content-type": inHead(text).replace(/[^ -~]/g, "") || "x" });
    }
    return ["/requests?rows=500", ...(await requests(sandbox))];
  },
  "providers and other ids": async (sandbox, inputs) => {
    for (const [, text] of inputs) {
      const id = [...wellFormed(text)].slice(0, 40).join("");
      await attempt(sandbox.admin("PUT", `providers/${encodeURIComponent(id)}`, {}));
      await attempt(sandbox.admin("PUT", `locations/${encodeURIComponent(id)}`, { name: text }));
      await sandbox.send({ conversationProviderId: text, message: "x" });
      await sandbox.api("POST", "/conversations/messages/inbound", { type: "SMS", contactId: sandbox.facts.contactId, conversationProviderId: id, altId: text, message: "x" });
      await sandbox.api("POST", "/conversations/messages/outbound", {
        type: "Call", conversationId: sandbox.facts.conversationId, conversationProviderId: sandbox.facts.conversationProviderId,
        call: { to: text, from: text, status: "completed" }, altId: text, date: "2026-01-01T00:00:00Z",
      });
    }
    return ["", `/conversations/${sandbox.facts.contactId}`, "/controls", ...(await requests(sandbox)).slice(0, 60)];
  },
  "reasons of failures": async (sandbox, inputs) => {
    for (const [, text] of inputs) {
      const { messageId } = await sandbox.send({ message: "x" });
      await attempt(sandbox.admin("PUT", `messages/${messageId}/status`, { status: "failed", error: text }));
    }
    return ["", `/conversations/${sandbox.facts.contactId}`];
  },
  "responses to webhooks": async (sandbox, inputs) => {
    let number = 0;
    const server = createServer((request) => {
      const text = inputs[number++ % inputs.length][1];
      request.socket.end(Buffer.from(`HTTP/1.1 302 ${inHead(text)}\r\nlocation: ${inHead(text)}\r\nx-a: ${inHead(text)}\r\ncontent-type: ${inHead(text)}\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    await sandbox.admin("PATCH", "webhooks", { url: `http://127.0.0.1:${server.address().port}/` });
    for (const _ of inputs) await sandbox.send({ message: "x" });
    for (;;) {
      const { deliveries } = await sandbox.admin("GET", "deliveries?limit=500");
      if (deliveries.length >= inputs.length && deliveries.every(({ attempts }) => attempts.length > 0)) break;
      await new Promise(setImmediate);
    }
    server.close();
    server.closeAllConnections();
    return ["/deliveries?rows=500", ...(await deliveries(sandbox))];
  },
  "payloads and targets of webhooks": async (sandbox, inputs) => {
    for (const [, text] of inputs) {
      await attempt(sandbox.admin("PATCH", "webhooks", { url: `http://127.0.0.1:9/${text}` }));
      await attempt(sandbox.admin("POST", "events/trigger", { event: "InboundMessage", url: `http://127.0.0.1:9/${inPath(text).replaceAll(" ", "%20")}`, fields: { [text]: text, body: text, contactId: text } }));
    }
    return ["/deliveries?rows=500", "/controls", ...(await deliveries(sandbox))];
  },
  "rules for faults": async (sandbox, inputs) => {
    let added = 0;
    for (const [, text] of inputs) {
      const rules = [
        { fault: "unavailable", path: text },
        { fault: "unavailable", location: text, method: inHead(text) },
        { fault: { status: 599, headers: { "x-a": inHead(text) }, body: text } },
        { fault: { raw: text } },
      ];
      for (const rule of rules) if (await attempt(sandbox.admin("POST", "faults", { ...rule, schedule: { first: 1 } }))) added += 1;
    }
    assert.ok(added > inputs.length, `${added} rules were added`);
    for (let count = 0; count < 10; count += 1) await attempt(fetch(`${sandbox.facts.baseUrl}/conversations/messages`).then((response) => response.text()));
    return ["/controls", "/requests", ...(await requests(sandbox))];
  },
  "the address of the page": async (sandbox, inputs) => {
    await sandbox.send();
    const paths = [];
    for (const [, text] of inputs) {
      // Seven of them fit into the limit of 16 KiB for request headers.
      let short = wellFormed(text).slice(0, 3000);
      while (encodeURIComponent(short).length > 1200) short = wellFormed(short.slice(0, short.length >> 1));
      const value = encodeURIComponent(short);
      paths.push(...["conversations", "requests", "deliveries", "controls"].map((view) => `/${view}?text=${value}&contact=${value}&channel=${value}&status=${value}&rows=${value}&sent=${value}`));
    }
    return paths;
  },
};

describe("untrusted content is escaped", () => {
  for (const [name, put] of Object.entries(PLACES)) {
    test(name, { timeout: 240_000 }, async (t) => {
      const sandbox = await startSandbox();
      t.after(() => sandbox.stop());
      await sandbox.admin("PATCH", "clock", { speed: 0 });
      // Accept untrusted addresses and numbers, so that the inspector shows them.
      const { refusals } = await sandbox.admin("GET", "settings/catalogue");
      await sandbox.admin("PATCH", "settings", { disabledRefusals: refusals.map(({ name }) => name) });
      const paths = await put(sandbox, inputs);
      await look(sandbox, [...new Set(paths)]);
    });
  }
});

test("untrusted content in live updates and form responses is escaped", async (t) => {
  const sandbox = await startSandbox();
  t.after(() => sandbox.stop());
  const { href: address } = new URL(`${sandbox.ui}/conversations/${sandbox.facts.contactId}`);
  const page = await openPage(browser, address, { tolerates });
  await live(page);
  for (const [, text] of inputs) await sandbox.send({ message: text });
  await sandbox.send({ message: "the last one" });
  await page.locator(".thread").getByText("the last one").waitFor();
  await assertHarmless(page, address);
  // Typed by the user, rendered by the server, inserted by the script.
  for (const [name, text] of inputs.filter(([name]) => !["long", "very long word", "half a character", "nothing"].includes(name))) {
    const newest = async () => (await sandbox.admin("GET", "messages?direction=inbound&order=newest&limit=1")).messages[0]?.id;
    const before = await newest();
    await page.locator("textarea[name=text]").fill(text);
    await page.keyboard.press("Control+Enter");
    const id = await until(async () => (await newest()) !== before && newest());
    await page.locator(`[id="message-${id}"]`).waitFor();
    await assertHarmless(page, address).catch((error) => assert.fail(`${name}: ${error.message}`));
  }
});

test("untrusted content in error messages is escaped", async (t) => {
  const sandbox = await startSandbox();
  t.after(() => sandbox.stop());
  const url = `${sandbox.ui}/controls`;
  const page = await openPage(browser, url, { tolerates: (text) => text.includes("Failed to load resource") });
  for (const [name, text] of inputs.filter(([, text]) => text.length < 3000)) {
    await page.locator("input[name=url]").first().fill(`ftp://${text}`);
    await page.keyboard.press("Enter");
    await page.locator("#notice p").waitFor();
    await assertHarmless(page, url).catch((error) => assert.fail(`${name}: ${error.message}`));
    await page.goto(url);
  }
  for (const [name, text] of inputs.filter(([, text]) => text.length < 3000)) {
    const address = `${sandbox.ui}/conversations/${encodeURIComponent(wellFormed(text))}`;
    const response = await page.goto(address);
    assert.equal(response.status(), 404, name);
    await assertHarmless(page, address);
  }
});

const forgetConnections = () => witness.seen.splice(0, Infinity, ...witness.seen.filter((what) => what !== "a connection"));
/** Presses a control. The browser does not always confirm it if the frame navigates. */
const press = (pressing) => Promise.race([pressing.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1000))]);

describe("HTML of an email stays in its frame", () => {
  test("when displayed, clicked and focused", { timeout: 240_000 }, async (t) => {
    const sandbox = await startSandbox();
    t.after(() => sandbox.stop());
    const speed = (await sandbox.admin("GET", "clock")).speed;
    for (const [name, html] of Object.entries(mails(witness.url))) {
      const contact = `mail-${name.replaceAll(" ", "-")}`;
      await sandbox.admin("PUT", `contacts/${contact}`, { name, phone: "+15035550130", email: "mail@example.com" });
      await sandbox.send({ type: "Email", contactId: contact, subject: name, html, message: "text" });
      const url = `${sandbox.ui}/conversations/${contact}`;
      // Links from an email to the sandbox are rejected, because the frame has an opaque origin.
      const page = await openPage(browser, url, { tolerates: (...of) => tolerates(...of) || of[0].includes("status of 403") });
      const body = async () => {
        const frame = await (await page.waitForSelector("iframe")).contentFrame();
        await frame.waitForLoadState();
        return frame.locator("a, button, input[type=image]");
      };
      const harmless = async () => {
        page.problems = page.problems.filter((problem) => !problem.startsWith("request to"));
        await assertHarmless(page, url).catch((error) => assert.fail(`${name}: ${error.message}`));
      };
      const count = await (await body()).count();
      await harmless();
      for (const act of [(link) => link.click({ timeout: 500, force: true }), (link) => link.press("Enter", { timeout: 500 })]) {
        for (let number = 0; number < count; number += 1) {
          await press(act((await body()).nth(number)));
          // Wait for a later event, so that all effects have occurred.
          await page.locator(".detail-head").click({ position: { x: 2, y: 2 } });
          await live(page);
          await sandbox.send({ contactId: contact, message: `after ${act} on ${number}` });
          await page.locator(".thread").getByText(`after ${act} on ${number}`).waitFor();
          // When a link is pressed, the browser may open a connection without sending anything.
          forgetConnections();
          await harmless();
          await page.goto(url);
        }
      }
      const box = await page.locator("iframe").boundingBox();
      assert.ok(box === null || (box.width < 1280 && box.height < 800), `${name}: the frame is as large as the window`);
      await page.context().close();
    }
    assert.equal((await sandbox.admin("GET", "clock")).speed, speed);
    forgetConnections();
    assert.deepEqual(witness.seen, []);
  });

  test("in a separate tab it has an opaque origin, runs nothing and loads nothing", async (t) => {
    const [sandbox, alone] = await Promise.all([startSandbox(), startWitness()]);
    t.after(() => Promise.all([sandbox.stop(), alone.stop()]));
    for (const [name, html] of Object.entries(mails(alone.url))) {
      const { messageId } = await sandbox.send({ type: "Email", subject: name, html });
      const page = await openPage(browser, `${sandbox.ui}/emails/${messageId}`, { tolerates: () => true });
      await page.waitForLoadState();
      assert.equal(await page.evaluate(() => window.origin), "null", name);
      assert.equal(await page.evaluate(() => window.pwned), undefined, name);
      assert.equal(await page.evaluate(() => { try { return document.cookie; } catch { return "refused"; } }), "refused", name);
      await page.context().close();
      assert.deepEqual(alone.seen, [], name);
    }
  });
});

test("the audit detects hostile elements", async (t) => {
  const sandbox = await startSandbox();
  t.after(() => sandbox.stop());
  // A page without live updates.
  const page = await openPage(browser, `${sandbox.ui}/nothing`, { tolerates: () => true });
  const harmful = inputs.filter(([name]) => /script|handler|image|frame|object|form|base|style|svg|hypermedia|ids|closing|details/.test(name) && !/address/.test(name));
  for (const [name, text] of harmful) {
    // As a template without escaping would render it. The page's policy blocks its scripts.
    const found = await page.evaluate((text) => document.querySelector("main").append(Object.assign(document.createElement("div"), { innerHTML: text })), text)
      .then(async () => [...(await page.evaluate(audit)), ...(await page.evaluate(hypermedia)).filter((attribute) => !OWN.some((own) => own.test(attribute)))]);
    assert.notDeepEqual(found, [], name);
    await page.goto(`${sandbox.ui}/nothing`);
  }
  assert.equal(await page.evaluate(() => window.pwned), undefined, "the policy is the second wall");
  assert.deepEqual(witness.seen.splice(0).filter((what) => what !== "a connection"), []);
});

test("the witness records requests", async () => {
  const other = await startWitness();
  await (await fetch(`${other.url}/x`)).text();
  assert.deepEqual(other.seen, ["a connection", "GET /x"]);
  await other.stop();
});
