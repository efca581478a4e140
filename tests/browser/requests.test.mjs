// The Requests tab: list and search, annotations of bodies, duplicates, rate limits and faults.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { check, isAt, live, openPage, startBrowser } from "./support/browser.mjs";
import { startSandbox } from "./support/sandbox.mjs";

const SEND = "/conversations/messages";
let browser, sandbox;
before(async () => {
  [browser, sandbox] = await Promise.all([startBrowser(), startSandbox()]);
});
after(async () => {
  await browser.close();
  await sandbox.stop();
});

/** Returns the requests of the admin API, newest first. */
const requests = async (query = "", of = sandbox) => (await of.admin("GET", `requests?limit=1000&${query}`)).requests;
const newest = async (of = sandbox) => (await requests("", of))[0];
const show = (id = "", options, of = sandbox) => openPage(browser, `${of.ui}/requests${id && !id.startsWith("?") ? `/${id}` : id}`, options);
const row = (page, id) => page.locator(`#request-${id}`);
/** Returns the IDs of the listed requests. */
const listed = (page) => page.locator("#rows > li:not(.day)").evaluateAll((rows) => rows.map(({ id }) => id.replace("request-", "")));

test("a new request is listed live and can be opened", async () => {
  const page = await show();
  await live(page);
  await sandbox.send({ message: "First" });
  const request = await newest();
  await row(page, request.id).waitFor();
  const { contacts } = await sandbox.admin("GET", "contacts?limit=100");
  const { name } = contacts.find(({ id }) => id === sandbox.facts.contactId);
  const text = (await row(page, request.id).innerText()).replaceAll(/\s+/g, " ");
  for (const part of [`201 POST messages · SMS → ${name ?? sandbox.facts.contactId}`, "First", request.receivedAt.slice(11, 19), "ms"]) {
    assert.ok(text.includes(part), `${part} is missing in ${text}`);
  }
  assert.equal(await row(page, request.id).locator(".row-title").getAttribute("title"), SEND);
  await row(page, request.id).getByRole("link").click();
  await page.locator("#details").getByText(request.id).waitFor();
  await isAt(page, `**/_sandbox/ui/requests/${request.id}`);
  const facts = await page.locator("#details").innerText();
  for (const part of [request.fingerprint, request.locationId, request.messageId, "Times accepted"]) {
    assert.ok(facts.includes(part), `${part} is missing in ${facts}`);
  }
  await page.locator("#details").getByRole("link", { name: request.messageId }).click();
  await page.locator(".message-page").getByText("First").waitFor();
  await isAt(page, `**/messages/${request.messageId}`);
  check(page);
});

test("request and response bodies are shown unchanged, without the token", async () => {
  const body = `{"type": "SMS",\t"z": 1.10, "contactId": "${sandbox.facts.contactId}", "a": [], "message": "\\u00e9 é", "z": 2}`;
  await sandbox.api("POST", SEND, body, { "x-mine": "yes", "x-api-key": "very-secret", cookie: "session=very-secret" });
  const request = await newest();
  const page = await show(request.id);
  const lines = await page.locator("#body .json-line").allInnerTexts();
  const expected = ["{", '  "type": "SMS",', '  "z": 1.10,', `  "contactId": "${sandbox.facts.contactId}",`, '  "a": [],', '  "message": "\\u00e9 é",', '  "z": 2', "}"];
  assert.deepEqual(lines, expected);
  const response = (await page.locator("#response .json-line").allInnerTexts()).join("\n");
  assert.deepEqual(JSON.parse(response), request.response.json);

  const cells = (table) => page.locator("#headers table").nth(table).locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
  assert.deepEqual(await cells(0), request.headers);
  assert.deepEqual(await cells(1), request.responseHeaders);
  const html = await page.content();
  assert.ok(html.includes("Bearer [redacted]") && html.includes("x-mine"));
  assert.ok(!html.includes(sandbox.facts.token) && !html.includes("very-secret"));
  check(page);
});

test("each validation error is shown at its JSON pointer", async () => {
  const bodies = [
    { type: "sms", contactId: 5, attachments: ["https://a.example/b", 1, 2], message: "Hello" },
    { type: "Email", contactId: sandbox.facts.contactId, emailCc: [false], "a/b": { "m~n": 1 }, message: 1 },
    {},
    [],
    "text",
  ];
  let marked = 0;
  for (const body of bodies) {
    await sandbox.api("POST", SEND, JSON.stringify(body));
    const request = await newest();
    assert.ok(request.violations.length > 0);
    const page = await show(request.id);
    for (const [place, { pointer, keyword, message }] of request.violations.entries()) {
      const mark = page.locator(`#error-${place + 1}`);
      assert.equal(await mark.getAttribute("data-pointer"), pointer);
      const words = message.replace(/ \(at [^)]*\)$/, "");
      assert.equal(await mark.innerText(), `${keyword} ${words}`);
      // The line above the annotations is the start of the value or of its closest ancestor.
      const line = await mark.evaluate((element) => {
        while (!element.matches(".json-line")) element = element.previousElementSibling;
        return element.textContent;
      });
      assert.equal(line.trim(), beginning(body, pointer), pointer);
      marked += 1;

      await page.locator("#validation").getByRole("link", { name: pointer || "(root)", exact: true }).first().click();
      await isAt(page, `**#error-${place + 1}`);
      await mark.and(page.locator(":target")).waitFor();
    }
    for (const pointer of request.unknownFields) {
      assert.equal(await page.locator("#body .json-mark.is-warn", { hasText: "unknown field" }).and(page.locator(`[data-pointer="${pointer}"]`)).count(), 1);
    }
    check(page);
    await page.context().close();
  }
  assert.ok(marked >= 8, `${marked}`);
});

/** Returns the first line of a value in formatted JSON, or of its closest ancestor if it is missing. */
function beginning(body, pointer) {
  let [value, name, comma] = [body, "", ""];
  for (const escaped of pointer.split("/").slice(1)) {
    const key = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    if (value === null || typeof value !== "object" || !(key in value)) break;
    comma = Object.keys(value).at(-1) === key ? "" : ",";
    name = Array.isArray(value) ? "" : `${JSON.stringify(key)}: `;
    value = value[key];
  }
  const isOpen = value !== null && typeof value === "object" && Object.keys(value).length > 0;
  return name + (isOpen ? (Array.isArray(value) ? "[" : "{") : JSON.stringify(value) + comma);
}

test("tolerated violations are shown as warnings", async () => {
  await sandbox.api("POST", SEND, { type: "SMS", contactId: sandbox.facts.contactId, message: "Hello", mesage: "Hello" });
  const request = await newest();
  assert.deepEqual([request.tolerated, request.unknownFields], [["send-without-status"], ["/mesage"]]);
  const page = await show(request.id);
  const marks = page.locator("#body .json-mark");
  assert.equal(await marks.and(page.locator(".is-bad")).count(), 0);
  assert.deepEqual(await marks.evaluateAll((all) => all.map(({ dataset }) => dataset.pointer)), ["/status", "/mesage"]);
  for (const badge of ["lenient", "unknown field"]) {
    await row(page, request.id).getByText(badge, { exact: true }).waitFor();
  }
  check(page);
});

test("all requests that sent the same message are marked as duplicates", async () => {
  await sandbox.send({ message: "Only once, please" });
  const first = await newest();
  const page = await show(first.id);
  await live(page);
  assert.equal(await page.getByText("duplicate ×2").count(), 0);

  await sandbox.send({ message: "Only once, please" });
  const second = await newest();
  assert.equal(second.acceptedBefore, 1);
  await page.locator("#duplicate").waitFor();
  await row(page, first.id).getByText("duplicate ×2").waitFor();
  await row(page, second.id).getByText("duplicate ×2").waitFor();
  assert.match(await page.locator("#duplicate").innerText(), /sent twice.*This is the first request/s);
  // The requests link to each other.
  await page.locator(`#details a[title="${second.id}"]`).click();
  await page.locator("#duplicate").getByText(first.id).waitFor();
  assert.match(await page.locator("#details").innerText(), /Times accepted\s+2/);
  await page.locator("#duplicate").getByRole("link").click();
  await page.waitForURL(`**/requests/${first.id}`);

  await sandbox.send({ message: "Only once, please" });
  await page.getByText("this message was sent 3 times.").waitFor();
  // Rejected requests are not duplicates.
  await sandbox.send({ message: "Only once, please", contactId: "unknown" });
  const refused = await newest();
  await row(page, refused.id).waitFor();
  assert.equal(await row(page, refused.id).getByText("duplicate").count(), 0);
  check(page);
});

test("a request shows the remaining rate limit", async () => {
  const limited = await startSandbox("--rate-limit");
  try {
    const page = await show("", {}, limited);
    const responses = [];
    for (let number = 0; number < 101; number += 1) responses.push(limited.send({ message: `${number}` }));
    await Promise.all(responses);
    const all = await requests("", limited);
    const refused = all.find(({ status }) => status === 429);
    const half = all.find(({ responseHeaders }) => new Map(responseHeaders).get("x-ratelimit-remaining") === "50");
    for (const [request, left] of [[half, 50], [refused, 0]]) {
      await page.goto(`${limited.ui}/requests/${request.id}`);
      const meters = await page.locator("#rate-limit meter").evaluateAll((all) => all.map(({ value, max }) => [value, max]));
      const headers = new Map(request.responseHeaders);
      assert.deepEqual(meters, [
        [left, 100],
        [Number(headers.get("x-ratelimit-daily-remaining")), 200000],
      ]);
      assert.ok((await page.locator("#rate-limit").innerText()).includes(`${left} of 100 left per 10 s`));
    }
    assert.ok((await page.locator(".detail-head").innerText()).includes("429 Too Many Requests"));
    check(page);
  } finally {
    await limited.stop();
  }
});

test("an injected fault is shown with its description", async () => {
  const page = await show();
  await live(page);
  for (const [fault, isBroken] of [["reset-in-body", true], ["bad-gateway-page", false]]) {
    await sandbox.admin("POST", "faults", { fault, schedule: { first: 1 } });
    await sandbox.send({ message: "Is it there?" }).catch((error) => error);
    const request = await newest();
    assert.deepEqual([request.fault, request.broken], [fault, isBroken]);
    await row(page, request.id).getByText(`fault: ${fault}`).click();
    await page.locator("#fault").getByText(`Injected fault: ${fault}.`).waitFor();
    const words = await page.locator("#fault").innerText();
    const { faults } = await sandbox.admin("GET", "faults/catalogue");
    assert.ok(words.includes(faults.find(({ name }) => name === fault).description), words);
    assert.equal(words.includes("did not receive the full response"), isBroken);
  }
  await sandbox.admin("DELETE", "faults");
  check(page);
});

test("the copied cURL command repeats the request", async (t) => {
  const page = await show("", { permissions: ["clipboard-read", "clipboard-write"] });
  const texts = ["it's $HOME `id` \\ \"x\"\n\r\n!! é 😀", "@file", "plain"];
  for (const message of texts) {
    await sandbox.api("POST", `${SEND}?a=b%20c&d[]='e'`, { type: "SMS", contactId: sandbox.facts.contactId, message }, { "x-odd": "it's \"$x\"" });
    const request = await newest();
    await page.goto(`${sandbox.ui}/requests/${request.id}`);
    await page.keyboard.press("c");
    await page.locator("#toast", { hasText: "Copied" }).waitFor();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(!command.includes(sandbox.facts.token));
    await page.getByText("Show command").click();
    assert.equal(await page.locator("#curl").innerText(), command);
    try {
      await promisify(execFile)("sh", ["-c", command], { env: { ...process.env, HIGHLEVEL_TOKEN: sandbox.facts.token } });
    } catch (error) {
      if (error.code !== 127) throw error;
      t.diagnostic("the command was not run, for there is no curl here");
      continue;
    }
    const again = await newest();
    const matters = ({ method, path, body, status, fingerprint, headers }) => {
      const named = new Map(headers);
      return { method, path, body, status, fingerprint, headers: ["authorization", "version", "content-type", "x-odd"].map((name) => named.get(name)) };
    };
    assert.notEqual(again.id, request.id);
    assert.deepEqual(matters(again), matters(request));
    assert.equal(again.acceptedBefore, 1);
  }
  check(page);
});

test("bodies that are not JSON are shown, and long bodies are truncated", async () => {
  const page = await show();
  const post = async (body) => {
    const headers = { authorization: `Bearer ${sandbox.facts.token}`, version: "2021-04-15", "content-type": "application/json" };
    await fetch(sandbox.facts.baseUrl + SEND, { method: "POST", headers, body });
    const request = await newest();
    await page.goto(`${sandbox.ui}/requests/${request.id}`);
    return request;
  };
  await post("<b>no JSON</b>");
  assert.equal(await page.locator("#body pre").innerText(), "<b>no JSON</b>");
  await post(new Uint8Array([0xff, 0, 0x41]));
  assert.match(await page.locator("#body pre").innerText(), /^00000000 +ff 00 41 +\.\.A$/);
  await post("");
  assert.match(await page.locator("#body").innerText(), /No body/);

  const long = JSON.stringify({ type: "SMS", contactId: sandbox.facts.contactId, message: "x".repeat(1_000_000) });
  const deep = "[".repeat(500_000);
  const many = JSON.stringify(Object.fromEntries(Array.from({ length: 30_000 }, (_, place) => [`unknown${place}`, place])));
  for (const body of [long, deep, many]) {
    const { id } = await post(body);
    await page.locator("#body").getByText("Truncated.").waitFor();
    const html = await page.content();
    assert.ok(html.length < 1_500_000, `${html.length}`);
    const file = await fetch(`${sandbox.ui}/requests/${id}/body`);
    assert.equal(file.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.equal(file.headers.get("x-content-type-options"), "nosniff");
    assert.match(file.headers.get("content-disposition"), /^attachment; /);
    assert.match(file.headers.get("content-security-policy"), /default-src 'none'/);
    assert.equal(await file.text(), body);
  }
  check(page);
});

test("the search is part of the URL", async () => {
  const searched = await startSandbox();
  try {
    const ada = { id: "AdaContact1", name: "Ada Lovelace" };
    await searched.admin("PUT", `contacts/${ada.id}`, { name: ada.name, email: "ada@example.com" });
    await searched.send({ message: "Über den Wolken" });
    await searched.send({ html: "To Ada", contactId: ada.id, type: "Email" });
    await searched.send({ message: "Refused", type: "nothing" });
    await searched.api("GET", "/nowhere");
    await searched.admin("POST", "faults", { fault: "reset-in-body", schedule: { first: 1 } });
    await searched.send({ message: "Broken" }).catch((error) => error);
    const [broken, nowhere, refused, email, wolken] = (await requests("", searched)).map(({ id }) => id);
    const messageId = (await requests("", searched)).find(({ id }) => id === wolken).messageId;
    const cases = [
      ["", [broken, nowhere, refused, email, wolken]],
      ["text=%C3%BCBER+den", [wolken]],
      ["text=TO+ADA", [email]],
      [`text=${nowhere}`, [nowhere]],
      ["text=Nowhere", [nowhere]],
      [`text=${messageId}`, [wolken]],
      ["contact=adacon", [email]],
      ["contact=lovelace", [email]],
      ["channel=Email", [email]],
      ["channel=SMS", [broken, wolken]],
      ["status=4xx", [nowhere, refused]],
      ["status=404", [nowhere]],
      ["failures=1", [broken, nowhere, refused]],
      ["failures=1&text=Broken", [broken]],
      ["text=nothing+of+this", []],
    ];
    const page = await show("", {}, searched);
    for (const [query, expected] of cases) {
      await page.goto(`${searched.ui}/requests?${query}`);
      assert.deepEqual(await listed(page), expected, query);
    }
    await page.getByText("No requests match these filters.").waitFor();

    // The form updates the URL, and the search is preserved when a request is opened.
    await page.goto(`${searched.ui}/requests`);
    await live(page);
    await page.keyboard.press("f");
    await row(page, wolken).waitFor({ state: "detached" });
    await isAt(page, /[?&]failures=1/);
    await page.keyboard.press("/");
    await page.keyboard.type("nowhere");
    await row(page, broken).waitFor({ state: "detached" });
    await isAt(page, /text=nowhere/);
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.locator("#details").getByText(nowhere).waitFor();
    await isAt(page, ({ search }) => search === "?text=nowhere&failures=1");
    await page.getByLabel("Status").selectOption("404");
    await page.waitForURL("**status=404**");
    assert.deepEqual(await listed(page), [nowhere]);
    check(page);
  } finally {
    await searched.stop();
  }
});

test("rows have two lines that say what went wrong, and mark the match", async () => {
  const listing = await startSandbox();
  try {
    await listing.admin("PATCH", "clock", { now: "2026-03-14T23:50:00.000Z", speed: 0 });
    await listing.admin("PUT", "contacts/Grace", { name: "Grace Hopper", phone: "+15037081210" });
    await listing.send({ contactId: "Grace", message: "Table for four" });
    await listing.admin("PATCH", "clock", { advanceMs: 1_200_000 });
    await listing.send({ type: "SmS", contactId: "Grace", message: "x".repeat(500) });
    await listing.send({ contactId: "Grace", message: `${"long ".repeat(100)}needle${" long".repeat(100)}` });
    const [long, refused, table] = await requests("", listing);
    for (const [width, colorScheme] of [[390, "light"], [1280, "dark"], [1440, "light"], [1920, "light"]]) {
      const page = await show("", { viewport: { width, height: 800 }, colorScheme }, listing);
      const line = (id) => row(page, id).locator(".row-text");
      const title = async (id) => (await row(page, id).locator(".row-title").innerText()).trim();
      for (const { id } of [long, refused, table]) {
        const { height } = await row(page, id).boundingBox();
        assert.ok(height >= 36 && height <= 45, `${id} at ${width}: ${height}`);
      }
      assert.equal(await title(table.id), "messages · SMS → Grace Hopper");
      assert.equal(await line(table.id).innerText(), "Table for four");
      assert.equal(await line(refused.id).innerText(), refused.violations[0].message);
      assert.equal(await row(page, refused.id).locator(".is-failure").count(), 1);
      // The clock is at the next day, so only the day before has a separator.
      assert.deepEqual(await page.locator("#rows > .day").allInnerTexts(), ["Saturday, 14 March 2026 (UTC)"]);
      assert.equal(await page.locator("#rows > li").nth(2).getAttribute("class"), "day");
      assert.equal(await page.locator(".columns").isVisible(), width >= 1600);
      check(page);
      await page.context().close();
    }
    const page = await show("", {}, listing);
    const marked = [
      ["FOUR", table.id, ["four"]],
      ["needle", long.id, ["needle"]],
      ["POST", table.id, ["POST"]],
      [table.id, table.id, ["in the request ID"]],
      ["conversationId", table.id, ["in the response body"]],
      ["version", table.id, null],
    ];
    for (const [text, id, expected] of marked) {
      await page.goto(`${listing.ui}/requests?text=${encodeURIComponent(text)}`);
      const found = row(page, id).locator("mark");
      if (expected) assert.deepEqual(await found.allInnerTexts(), expected, text);
      else assert.ok(!(await listed(page)).includes(id), text);
    }
    await page.goto(`${listing.ui}/requests?contact=grace+hop`);
    assert.deepEqual(await row(page, table.id).locator("mark").allInnerTexts(), ["Grace Hop"]);
    check(page);
  } finally {
    await listing.stop();
  }
});

test("filters of time, method, operation and duration are part of the URL and can be cleared", async () => {
  const filtered = await startSandbox();
  try {
    await filtered.admin("PATCH", "clock", { now: "2026-03-14T09:00:00.000Z", speed: 0 });
    await filtered.send({ message: "Early" });
    await filtered.admin("PATCH", "clock", { advanceMs: 3_000_000 });
    await filtered.api("GET", `/contacts/${filtered.facts.contactId}`);
    await filtered.admin("PATCH", "clock", { advanceMs: 900_000 });
    await filtered.send({ message: "Late" });
    const [late, get, early] = (await requests("", filtered)).map(({ id }) => id);
    const cases = [
      ["last=15m", [late, get]],
      ["last=1h", [late, get]],
      ["last=24h", [late, get, early]],
      ["from=2026-03-14T09%3A50", [late, get]],
      ["to=2026-03-14T09%3A50%3A00", [get, early]],
      ["from=2026-03-14T09%3A00%3A01&to=2026-03-14T09%3A59", [get]],
      ["method=GET", [get]],
      ["operation=sendMessage", [late, early]],
      ["operation=sendMessage&last=15m", [late]],
      ["slower=4000000", []],
    ];
    const page = await show("", {}, filtered);
    for (const [query, expected] of cases) {
      await page.goto(`${filtered.ui}/requests?${query}`);
      assert.deepEqual(await listed(page), expected, query);
      assert.equal(await page.locator("#more-filters").getAttribute("open"), "", query);
    }
    // The form updates the URL; the criteria that another view has too survive a change of tab.
    await page.goto(`${filtered.ui}/requests?text=message&failures=1`);
    await live(page);
    await page.getByLabel("Failures only").uncheck();
    await page.getByText("More filters").click();
    await page.getByLabel("Time", { exact: true }).selectOption("Last 15 min");
    await page.getByLabel("Operation", { exact: true }).selectOption("sendMessage");
    await isAt(page, ({ search }) => search === "?text=message&operation=sendMessage&last=15m");
    await row(page, early).waitFor({ state: "detached" });
    assert.deepEqual(await listed(page), [late]);
    await page.getByRole("link", { name: "Webhooks" }).click();
    await isAt(page, "**/deliveries?text=message");
    await page.getByRole("link", { name: "Requests" }).click();
    await isAt(page, "**/requests?text=message");
    await page.getByRole("link", { name: "Clear filters" }).click();
    await isAt(page, "**/requests");
    await row(page, get).waitFor();
    assert.equal(await page.getByRole("link", { name: "Clear filters" }).count(), 0);
    check(page);
  } finally {
    await filtered.stop();
  }
});

test("the filtered list is exported as HAR 1.2 and as JSON, without credentials", async () => {
  const exporting = await startSandbox();
  try {
    await exporting.send({ message: "First" });
    await exporting.api("POST", `${SEND}?a=b%20c&a=`, { type: "nothing", message: `"\u2028</script>` }, { cookie: "session=very-secret" });
    await fetch(exporting.facts.baseUrl + SEND, { method: "POST", body: new Uint8Array([0xff, 0]), headers: { authorization: `Bearer ${exporting.facts.token}` } });
    await exporting.api("GET", "/nowhere");
    const all = await requests("", exporting);
    for (const [query, expected] of [["", all], ["?text=nowhere&failures=1", all.slice(0, 1)], ["?text=nothing+has+this", []]]) {
      const page = await show(query, {}, exporting);
      if (expected.length === 0) assert.equal(await page.locator("#export").count(), 0);
      else {
        assert.match(await page.locator("#export").innerText(), /are masked/);
        const links = await page.locator("#export a").evaluateAll((links) => links.map(({ href }) => href));
        assert.deepEqual(links.map((link) => new URL(link).search), [query, query]);
      }
      check(page);
      await page.context().close();
      const [har, json] = await Promise.all(["har", "json"].map(async (name) => (await fetch(`${exporting.ui}/requests.${name}${query}`)).text()));
      assert.ok(![har, json].some((text) => text.includes(exporting.facts.token) || text.includes("very-secret")));
      assert.deepEqual(JSON.parse(json), { truncated: false, requests: expected });
      const { log } = JSON.parse(har);
      assert.deepEqual([log.version, log.creator.name, typeof log.creator.version], ["1.2", "highlevel-sandbox", "string"]);
      assert.equal(log.entries.length, expected.length);
      for (const [place, entry] of [...log.entries].reverse().entries()) {
        const recorded = expected[place];
        // The fields that the specification requires.
        assert.ok(!Number.isNaN(Date.parse(entry.startedDateTime)) && entry.time >= 0 && typeof entry.cache === "object");
        for (const name of ["send", "wait", "receive"]) assert.equal(typeof entry.timings[name], "number");
        const { request, response } = entry;
        for (const name of ["method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"]) assert.ok(name in request, name);
        for (const name of ["status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize"]) assert.ok(name in response, name);
        assert.deepEqual([request.method, request.url, response.status], [recorded.method, exporting.facts.baseUrl + recorded.path, recorded.status]);
        assert.deepEqual(request.headers.map(({ name, value }) => [name, value]), recorded.headers);
        const url = new URL(request.url);
        assert.deepEqual(request.queryString.map(({ name, value }) => [name, value]), [...url.searchParams]);
        const { body } = recorded;
        if (body.base64) assert.deepEqual([request.postData.encoding, request.postData.text], ["base64", body.base64]);
        else if (body.json) assert.deepEqual(JSON.parse(request.postData.text), body.json);
        else assert.equal(request.postData, undefined);
        assert.deepEqual(JSON.parse(response.content.text), recorded.response.json);
        assert.equal(response.content.size, Buffer.byteLength(response.content.text));
      }
    }
  } finally {
    await exporting.stop();
  }
});

test("a long list is loaded in parts", async () => {
  const page = await show();
  await live(page);
  await Promise.all(Array.from({ length: 60 }, (_, place) => sandbox.send({ message: `Many ${place}` })));
  const newestId = (await newest()).id;
  await row(page, newestId).waitFor();
  assert.equal((await listed(page)).length, 50);
  await page.getByRole("link", { name: "Load more" }).click();
  await page.waitForURL("**rows=150**");
  assert.ok((await listed(page)).length > 60);
  assert.deepEqual(await listed(page), (await requests()).slice(0, 150).map(({ id }) => id));
  check(page);
});

test("hostile requests are escaped", async () => {
  const script = `<img src=x onerror=alert(1)><script>alert(2)</script>"'\`</pre>`;
  const hostile = { type: script, contactId: script, [script]: { [`${script}/~`]: [script] }, message: "\u202e\u0000\u2028" };
  const page = await show("", { viewport: { width: 360, height: 720 } });
  await sandbox.api("POST", `${SEND}?${encodeURIComponent(script)}=<b>`, hostile, { "x-hostile": script });
  await raw(`POST /${script.replaceAll(" ", "%20")} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: 5\r\n\r\n<b>\xff\x00`);
  for (const { id } of (await requests()).slice(0, 2)) {
    await page.goto(`${sandbox.ui}/requests/${id}`);
    await live(page);
    assert.equal(await page.locator("main :is(img, script, b)").count(), 0);
  }
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  check(page);
});

/** Sends raw bytes. */
function raw(text) {
  const { port } = new URL(sandbox.facts.baseUrl);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), "127.0.0.1", () => socket.write(Buffer.from(text, "latin1")));
    socket.on("data", () => {});
    socket.on("error", reject);
    socket.on("close", resolve);
  });
}

test("details fit a narrow screen and lead back to the list", async () => {
  await sandbox.api("POST", `${SEND}/${"long".repeat(50)}`, { type: "SMS", message: "word".repeat(200), deep: { a: { b: [[["x".repeat(100)]]] } } });
  await sandbox.api("POST", SEND, { type: "SMS", contactId: 1, message: "word".repeat(200), deep: { a: { b: [[["x".repeat(100)]]] } } });
  for (const { id } of (await requests()).slice(0, 2)) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await show(id, { viewport: { width: 360, height: 720 }, colorScheme });
      await live(page);
      for (const selector of ["html", ".detail", "#body", "#headers", "#details", "#rate-limit"]) {
        const [scroll, client] = await page.locator(selector).evaluate(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth]);
        assert.ok(scroll <= client, `${selector}: ${scroll} in ${client}`);
      }
      await page.keyboard.press("u");
      await row(page, id).waitFor();
      check(page);
      await page.context().close();
    }
  }
});

test("a reset empties the list and reports that the open request is gone", async () => {
  await sandbox.send({ message: "Soon gone" });
  const { id } = await newest();
  const [list, detail] = [await show(), await show(id)];
  await Promise.all([live(list), live(detail)]);
  await sandbox.admin("POST", "reset");
  await list.getByText("No requests yet.").waitFor();
  await detail.getByText(`request ${id} not found`).waitFor();
});

test("an unknown request shows an error", async () => {
  const page = await show("none");
  await page.getByText("request none not found").waitFor();
});
