// A page of another site in the browser of a developer can neither change nor read the sandbox. The attack is in
// `support/attack.mjs`. The same attack by a page of the sandbox's own origin shows that the attack works.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, test } from "node:test";

import { chromium } from "playwright-core";

import { attack } from "./support/attack.mjs";
import { startReceiver, startSandbox } from "./support/sandbox.mjs";
import { until } from "./support/story.mjs";

const ADMIN_TOKEN = "a-token-of-the-admin";
const PAGE = "<!doctype html><title>A page</title><body>";
/** Vectors whose requests are cross-site even from a page of the sandbox's origin. */
const ALWAYS_FOREIGN = ["sandboxed-form", "redirect-get", "redirect-post", "redirect-form"];

let browser, attacker;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-popup-blocking",
      // Other browsers, and older versions of Chromium, let pages send requests to loopback without a prompt.
      "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
      // The names of the attacker resolve to loopback, and no request leaves this machine.
      "--host-resolver-rules=MAP evil.test 127.0.0.1, MAP rebind.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ],
  });
  attacker = await startAttacker();
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await attacker?.stop();
});

/** The server of the attacker: a page, and redirects to the address in the query. */
async function startAttacker() {
  const received = [];
  const server = createServer((request, response) => {
    received.push(request.url);
    const [, status, address] = /^\/redirect\/(\d+)\?(.*)$/.exec(request.url) ?? [];
    if (status) response.writeHead(Number(status), { location: decodeURIComponent(address), "access-control-allow-origin": "*" }).end();
    else response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    received,
    stop: () => new Promise((resolve) => server.close(resolve)).finally(server.closeAllConnections()),
  };
}

/** A sandbox with a fault rule for each path of an attack, a webhook receiver, and a paused clock. */
async function startTarget(...options) {
  const receiver = await startReceiver();
  const sandbox = await startSandbox("--token", "pit-that-the-attacker-knows", "--webhook-url", receiver.url, ...options);
  const headers = options.includes("--admin-token") ? { authorization: `Bearer ${ADMIN_TOKEN}` } : {};
  const admin = async (method, path, body) => {
    const response = await fetch(sandbox.facts.adminUrl + path, { method, headers, body: body && JSON.stringify(body) });
    assert.ok(response.ok, `${method} ${path}: ${response.status}`);
    return (response.headers.get("content-type") ?? "").includes("json") ? response.json() : undefined;
  };
  await admin("PATCH", "clock", { speed: 0 });
  for (const path of ["/conversations/messages", "/conversations/messages/inbound", "/oauth/token", "/oauth/locationToken"]) {
    await admin("POST", "faults", { fault: "internal-error", path, schedule: { first: 1_000 } });
  }
  return { sandbox, receiver, admin, stop: () => Promise.all([sandbox.stop(), receiver.stop()]) };
}

/** Returns all state of the admin API, except values that depend on the system clock. */
async function everything(admin) {
  const paths = [
    "snapshot", "clock", "settings", "rate-limit", "faults", "webhooks", "webhooks/tamper", "webhooks/keys",
    "deliveries?limit=1000", "requests?limit=1000", "ledger", "messages?limit=1000", "contacts?limit=1000",
    "oauth/apps", "oauth/settings", "oauth/installs", "oauth/tokens", "oauth/requests",
  ];
  return Object.fromEntries(await Promise.all(paths.map(async (path) => [path, await admin("GET", path)])));
}

/** Returns the frame of a request, or `undefined` for a window that has just been opened. */
function frameOf(request) {
  try {
    return request.frame();
  } catch {
    return undefined;
  }
}

/** Runs the attack in a page at `origin`. Returns the vectors, the readable responses, and the requests with their statuses. */
async function runAttack({ origin, target, sandbox, destroys = true, context }) {
  context ??= await browser.newContext();
  const page = await context.newPage();
  const sent = [];
  const note = (url, request = {}) => {
    const { origin: to, pathname: path, searchParams } = new URL(url);
    if (to.replace(/^ws/, "http") === target && path !== "/page-of-the-attacker") sent.push({ vector: searchParams.get("by"), path, ...request });
  };
  context.on("request", async (request) => {
    const status = (await request.response().catch(() => null))?.status();
    const [frame, navigates] = [frameOf(request), request.isNavigationRequest()];
    // Ignores the subresources of an inspector that was opened in a window.
    if (!navigates && frame?.url().startsWith(`${target}/_sandbox/ui`)) return;
    note(request.url(), { opensPage: navigates && !frame?.parentFrame(), status });
  });
  page.on("websocket", (socket) => note(socket.url()));
  const address = `${origin}/page-of-the-attacker`;
  if (origin === target) {
    // A rebound name resolves to the attacker's server first, and then to the sandbox.
    await page.route(address, (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
  }
  await page.goto(address);
  // While a route is active, Playwright itself responds to preflight requests and allows all of them.
  await page.unroute(address);
  const { facts } = sandbox;
  const elsewhere = `http://evil.test:${attacker.port}`;
  const receiver = `http://127.0.0.1:${attacker.port}`;
  const { vectors, readings } = await page.evaluate(attack, { target, facts, elsewhere, receiver, destroys });
  await context.close();
  return { vectors, readings, sent };
}

/** The only responses that are no refusal: a link may open a page of the inspector, which a page of another site cannot read. */
const isAllowed = ({ path, opensPage, status }) => opensPage && path.startsWith("/_sandbox/ui") && [200, 401].includes(status);

async function assertAttackFails(target, attackOptions, isRefusal = () => false) {
  const before = await everything(target.admin);
  const { vectors, readings, sent } = await runAttack({ sandbox: target.sandbox, ...attackOptions });
  assert.deepEqual(vectors.filter((vector) => !sent.some((request) => request.vector === vector)), [], "the browser sent nothing");
  // A request that the browser itself stops has no response.
  assert.deepEqual(sent.filter((request) => ![403, undefined].includes(request.status) && !isAllowed(request)), []);
  assert.deepEqual(readings.filter((reading) => !isRefusal(reading)).map((reading) => reading.slice(0, 300)), []);
  assert.deepEqual(await everything(target.admin), before);
  assert.equal(before["requests?limit=1000"].requests.length, 0);
  assert.deepEqual(target.receiver.received, []);
  // It still works for a program, and the fault rules are all there.
  const { status } = await target.sandbox.api("POST", "/conversations/messages", { type: "SMS", contactId: target.sandbox.facts.contactId, message: "a", status: "pending" });
  assert.equal(status, 500);
}

/** What a page of a name that leads to the sandbox can read: the refusal of the name. */
const refusesName = (reading) => /: 403 |is not a name of this sandbox/.test(reading);

test("a page of another host changes and reads nothing", async (t) => {
  const target = await startTarget();
  t.after(target.stop);
  const origin = `http://evil.test:${attacker.port}`;
  await assertAttackFails(target, { origin, target: target.sandbox.facts.baseUrl });
});

test("a page on another port of this machine changes and reads nothing", async (t) => {
  const target = await startTarget();
  t.after(target.stop);
  const origin = `http://127.0.0.1:${attacker.port}`;
  await assertAttackFails(target, { origin, target: target.sandbox.facts.baseUrl });
});

test("a page whose name was rebound to the sandbox changes and reads nothing", async (t) => {
  const target = await startTarget();
  t.after(target.stop);
  const origin = target.sandbox.facts.baseUrl.replace("127.0.0.1", "rebind.test");
  await assertAttackFails(target, { origin, target: origin }, refusesName);
});

test("a page of another site does not profit from a session of the inspector", async (t) => {
  const target = await startTarget("--admin-token", ADMIN_TOKEN);
  t.after(target.stop);
  const context = await browser.newContext();
  const inspector = await context.newPage();
  await inspector.goto(target.sandbox.ui);
  await inspector.getByLabel("Admin token").fill(ADMIN_TOKEN);
  await inspector.getByRole("button", { name: "Sign in" }).click();
  await inspector.getByRole("link", { name: "Simulation" }).waitFor();
  await inspector.close();
  // Cookies are of a host, not of a port: the browser sends that of the inspector from this page.
  const origin = `http://127.0.0.1:${attacker.port}`;
  await assertAttackFails(target, { origin, target: target.sandbox.facts.baseUrl, context });
});

test("the same attack works on a page of the sandbox's own origin", async (t) => {
  const target = await startTarget();
  t.after(target.stop);
  const before = await everything(target.admin);
  const origin = target.sandbox.facts.baseUrl;
  const { vectors, readings, sent } = await runAttack({ origin, target: origin, sandbox: target.sandbox, destroys: false });
  const own = vectors.filter((vector) => !ALWAYS_FOREIGN.includes(vector));
  const after = await everything(target.admin);
  // Each vector reached the API: its requests are in the ledger.
  const { requests } = after["requests?limit=1000"];
  const recorded = new Set(requests.map(({ path, query }) => /by=([\w-]+)/.exec(`${path}?${query}`)?.[1]));
  assert.deepEqual(own.filter((vector) => !recorded.has(vector)), []);
  for (const vector of ALWAYS_FOREIGN) assert.ok(!recorded.has(vector) && sent.some((request) => request.vector === vector), vector);
  // What has a body that the admin API takes was done there.
  const texts = new Set(after["messages?limit=1000"].messages.map(({ request }) => request.message));
  for (const vector of ["form-text", "fetch-text", "fetch-json", "fetch-authorized", "xhr", "beacon"]) assert.ok(texts.has(vector), vector);
  const contacts = new Set(after["contacts?limit=1000"].contacts.map(({ id }) => id));
  for (const vector of ["form-urlencoded", "fetch-form"]) assert.ok(contacts.has(`ui-${vector}`), vector);
  for (const path of ["clock", "settings", "webhooks", "webhooks/keys", "faults", "oauth/installs", "snapshot"]) {
    assert.notDeepEqual(after[path], before[path], path);
  }
  // The requests that carry the token triggered the rules that existed before.
  const hits = (all) => all.faults.faults.slice(0, 4).reduce((sum, rule) => sum + rule.hits, 0);
  assert.equal(hits(before), 0);
  assert.ok(hits(after) > 0);
  for (const reading of ["iframe read /oauth/token", "fetch-get read /_sandbox/snapshot", "fetch-json read", "xhr read", "event-source read", "window read"]) {
    assert.ok(readings.some((text) => text.startsWith(reading)), reading);
  }
  assert.ok(attacker.received.some((path) => path.startsWith("/redirect/307")));
  await until(() => attacker.received.some((path) => path === "/hook"));
});

test("a link of another site to the OAuth page shows the choice, and chooses nothing", async (t) => {
  const target = await startTarget();
  t.after(target.stop);
  const { facts } = target.sandbox;
  const query = new URLSearchParams({
    response_type: "code", client_id: facts.clientId, redirect_uri: "http://127.0.0.1:9/x", scope: "a", location_id: facts.locationId,
  });
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://evil.test:${attacker.port}/`);
  await page.evaluate((href) => { document.body.innerHTML = "<a>Install</a>"; document.querySelector("a").href = href; }, `${facts.baseUrl}/v2/oauth/chooselocation?${query}`);
  await page.getByText("Install").click();
  await page.getByRole("button").first().waitFor();
  assert.equal(new URL(page.url()).origin, facts.baseUrl);
  assert.deepEqual((await target.admin("GET", "oauth/installs")).installs, []);
  // The attacker frames it in vain, and cannot press its button.
  await page.goto(`http://evil.test:${attacker.port}/`);
  const framed = await page.evaluate((src) => new Promise((resolve) => {
    const frame = Object.assign(document.createElement("iframe"), { src, onload: () => resolve(frame.contentDocument === null) });
    document.body.append(frame);
  }), `${facts.baseUrl}/v2/oauth/chooselocation?${query}`);
  assert.ok(framed, "it is not readable");
  assert.equal(await page.frames().at(-1).getByRole("button").count(), 0);
  assert.deepEqual((await target.admin("GET", "oauth/installs")).installs, []);
});
