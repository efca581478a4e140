// The npm packages of the sandbox with node:test and HighLevel's official SDK: a message is sent, and its webhook is received and
// verified. Runs in the fresh project that `run` creates.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, beforeEach, test } from "node:test";
import { promisify } from "node:util";

import { startSandbox } from "highlevel-sandbox";

const { HighLevel } = createRequire(import.meta.url)("@gohighlevel/api-client");
const BIN = new URL("node_modules/.bin/highlevel-sandbox", import.meta.url).pathname;

let sandbox;
before(async () => (sandbox = await startSandbox()));
beforeEach(() => sandbox.reset());
after(() => sandbox.stop());

/** Receives one webhook per call of `next`. */
class Receiver {
  #received = [];
  #waiting = [];
  #server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    request.body = Buffer.concat(chunks);
    response.end();
    this.#received.push(request);
    this.#waiting.shift()?.();
  });

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  async next() {
    if (this.#received.length === 0) await new Promise((resolve) => this.#waiting.push(resolve));
    return this.#received.shift();
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function client() {
  HighLevel.BASE_URL = sandbox.url;
  return new HighLevel({
    privateIntegrationToken: sandbox.token,
    webhookPublicKey: sandbox.webhookPublicKey,
    logLevel: "none",
  });
}

/** Returns the verdict of the SDK about the signature of a webhook. */
async function isValid(sdk, request) {
  request.isSignatureValid = undefined;
  await new Promise((resolve, reject) => {
    sdk.webhooks.subscribe()(request, {}, (error) => (error ? reject(error) : resolve()));
  });
  return request.isSignatureValid;
}

test("the official SDK sends a message and verifies its webhook", async () => {
  process.env.CLIENT_ID = sandbox.clientId;
  const receiver = new Receiver();
  await sandbox.setWebhookUrl(await receiver.listen());
  try {
    const sdk = client();
    const sent = await sdk.conversations.sendANewMessage({
      type: "SMS",
      contactId: sandbox.contactId,
      message: "Hello",
      status: "pending",
    });
    assert.deepEqual((await sandbox.messages()).map((each) => each.id), [sent.messageId]);
    const webhook = await receiver.next();
    const event = JSON.parse(webhook.body);
    assert.deepEqual([event.type, event.messageId, event.body], ["OutboundMessage", sent.messageId, "Hello"]);
    assert.equal(await isValid(sdk, webhook), true);
    // A changed body is rejected.
    webhook.body = Buffer.from(webhook.body.toString().replace("Hello", "Howdy"));
    assert.equal(await isValid(sdk, webhook), false);
  } finally {
    receiver.close();
  }
});

test("the helpers reach the sandbox", async () => {
  await sandbox.addContact("grace", { name: "Grace", phone: "+15035550123" });
  assert.equal((await sandbox.contacts()).some((each) => each.id === "grace"), true);
  const inbound = await sandbox.simulateInbound({ contactId: "grace", message: "Is a table free?" });
  const messages = await sandbox.messages({ contactId: "grace", direction: "inbound" });
  assert.deepEqual(messages.map((each) => each.id), [inbound.id]);
  await sandbox.breakNext("reset", { stage: "after" });
  const body = { type: "SMS", contactId: "grace", message: "At eight", status: "pending" };
  const send = () =>
    fetch(`${sandbox.url}/conversations/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${sandbox.token}`, version: "2021-04-15", "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  await assert.rejects(send());
  assert.equal((await sandbox.messages({ text: "At eight" })).length, 1);
  assert.equal((await send()).status, 201);
  await assert.rejects(sandbox.admin("GET", "messages/unknown"), /GET messages\/unknown: 404 /);
});

test("values of the README are those of the program", () => {
  assert.equal(sandbox.environment.HIGHLEVEL_BASE_URL, sandbox.url);
  assert.match(sandbox.webhookPublicKeyPem, /^-----BEGIN PUBLIC KEY-----\nMCow/);
  assert.deepEqual(Object.keys(sandbox.providerIds).sort(), ["call", "custom-sms", "email", "sms"]);
});

test("a rejected start has the message of the program", async () => {
  await assert.rejects(startSandbox({ options: ["--adress", "a"] }), /exited with 2: error: unexpected argument '--adress'/);
  await assert.rejects(startSandbox({ webhookUrl: "https://a.example" }), /exited with 1: error: .*https is not supported/s);
});

test("a missing platform package is named with the fix", async () => {
  const program = `Object.defineProperty(process, "arch", { value: "mips" });
    require("highlevel-sandbox").startSandbox().catch((error) => console.log(error.message));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", program]);
  assert.match(stdout, /^the package highlevel-sandbox-\w+-mips is not installed; .*HIGHLEVEL_SANDBOX_BINARY/);
});

test("the command is the program, with its exit code", async () => {
  const { stdout } = await promisify(execFile)(BIN, ["--version"]);
  assert.match(stdout, /^highlevel-sandbox \d/);
  await assert.rejects(promisify(execFile)(BIN, ["health", "--url", "http://127.0.0.1:1"]), { code: 1 });
});

/** Returns `true` once nothing listens at the URL. */
async function ends(url) {
  for (;;) {
    try {
      await (await fetch(`${url}/_sandbox/health`)).text();
    } catch {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("the program ends with SIGTERM to the command", { skip: process.platform === "win32" }, async () => {
  const command = spawn(BIN, ["serve", "--json", "--address", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(command.stdout.setEncoding("utf8"), "data");
  const { baseUrl } = JSON.parse(line.split("\n")[0]).data;
  command.kill("SIGTERM");
  assert.deepEqual(await once(command, "exit"), [0, null]);
  assert.equal(await ends(baseUrl), true);
});

test("a test run that does not stop its sandbox ends, and its sandbox with it", async () => {
  for (const end of ["", "process.kill(process.pid, 'SIGKILL');"]) {
    const program = `require("highlevel-sandbox").startSandbox().then(({ url }) => {
      require("node:fs").writeSync(1, url); ${end} });`;
    const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    let url = "";
    child.stdout.on("data", (chunk) => (url += chunk));
    await once(child, "close");
    assert.match(url, /^http:/);
    assert.equal(await ends(url), true);
  }
});
