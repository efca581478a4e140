// The MCP server of the sandbox, with the client of the official TypeScript SDK. The ledger of the sandbox has the last word about
// what was stored.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [program, packages] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${packages}/node_modules/@modelcontextprotocol/sdk/dist/esm/client/${path}`));
const { Client } = await load("index.js");
const { StdioClientTransport } = await load("stdio.js");
const { version } = JSON.parse(readFileSync(`${packages}/node_modules/@modelcontextprotocol/sdk/package.json`));

/** Returns the first column of the table of tools in the skill. */
function toolsOfSkill() {
  const skill = readFileSync(new URL("../../docs/skills/highlevel/SKILL.md", import.meta.url), "utf8");
  const table = skill.split("| tool | |")[1].split("\n\n")[0];
  return [...table.matchAll(/^\| `(\w+)` \|/gm)].map((row) => row[1]);
}

async function connect(url) {
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(new StdioClientTransport({ command: program, args: ["mcp", "--url", url], stderr: "inherit" }));
  return client;
}

async function flow(sandbox, receiver) {
  const client = await connect(sandbox.baseUrl);
  /** Calls a tool. Returns its JSON. */
  const call = async (name, args) => {
    const { content, isError } = await client.callTool({ name, arguments: args });
    assert.equal(isError ?? false, false, content[0].text);
    return JSON.parse(content[0].text);
  };
  const fails = async (name, args, expected) => {
    const { content, isError } = await client.callTool({ name, arguments: args });
    assert.equal(isError, true);
    assert.match(content[0].text, expected);
  };
  const send = (body) =>
    fetch(`${sandbox.baseUrl}/conversations/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${sandbox.token}`, version: "2021-04-15", "content-type": "application/json" },
      body: JSON.stringify({ type: "SMS", contactId: sandbox.contactId, status: "pending", ...body }),
    });
  const stored = async (text) => {
    const response = await fetch(`${sandbox.adminUrl}messages?text=${encodeURIComponent(text)}`);
    return (await response.json()).messages;
  };

  // The handshake, and the tools of the skill.
  assert.equal(client.getServerVersion().name, "highlevel-sandbox");
  assert.match(client.getInstructions(), /explain_rejection/);
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name), toolsOfSkill());
  for (const tool of tools) assert.equal(tool.inputSchema.type, "object", tool.name);
  const status = await call("sandbox_status", {});
  assert.deepEqual([status.url, status.status], [sandbox.baseUrl, "ok"]);
  assert.equal(status.webhookKeys.find((key) => key.current && key.algorithm === "Ed25519").publicKey, sandbox.webhookPublicKey);

  // Nothing is wrong yet.
  await fails("explain_rejection", {}, /none of the latest 0 requests/);

  // A message of the contact reaches the program under test.
  const { url } = await call("set_webhook_url", { url: receiver.url });
  assert.equal(url, receiver.url);
  const inbound = await call("send_as_contact", { message: "Is a table free?" });
  assert.equal(inbound.direction, "inbound");
  assert.deepEqual((await stored("Is a table free?")).map((message) => message.id), [inbound.id]);
  const event = await receiver.next();
  assert.deepEqual([event.type, event.messageId], ["InboundMessage", inbound.id]);
  const { webhooks } = await call("list_webhooks", { messageId: inbound.id });
  assert.deepEqual(webhooks.map((webhook) => [webhook.event, webhook.url]), [["InboundMessage", receiver.url]]);

  // The program replies, and a carrier delivers the reply.
  const reply = await (await send({ message: "Yes, at eight" })).json();
  await receiver.next();
  const delivered = await call("set_message_status", { messageId: reply.messageId, status: "delivered" });
  assert.equal(delivered.status, "delivered");
  const { conversations } = await call("list_conversations", { contactId: sandbox.contactId });
  assert.deepEqual(conversations.map((each) => [each.id, each.latestMessage.id]), [[sandbox.conversationId, reply.messageId]]);
  const { messages } = await call("read_conversation", { conversationId: sandbox.conversationId });
  assert.deepEqual(messages.map((message) => message.content.message), ["Is a table free?", "Yes, at eight"]);
  const limited = await call("read_conversation", { conversationId: sandbox.conversationId, limit: 1 });
  assert.deepEqual(limited.messages.map((message) => message.id), [reply.messageId]);

  // A rejection is explained, the latest one or that of an ID.
  const rejected = await (await send({ mesage: "Hello", status: "new" })).json();
  for (const args of [{}, { requestId: rejected.traceId }]) {
    const { reasons, request } = await call("explain_rejection", args);
    assert.equal(request.status, 422);
    assert.match(reasons[0], /^status must be one of delivered, failed, pending, read/);
    assert.equal(reasons[1], "the API does not know the field /mesage; `message` is probably meant");
  }
  await send({ contactId: "unknown", message: "Hello" });
  const { reasons } = await call("explain_rejection", {});
  assert.match(reasons.join("\n"), /refusal unknown-contact.*contact "unknown" does not exist/s);

  // A response is lost, and the message exists all the same.
  const { catalogue } = await call("list_faults", {});
  assert.equal(catalogue.some((fault) => fault.name === "reset"), true);
  await call("break_next_request", { fault: "reset", stage: "after", operation: "sendMessage" });
  await assert.rejects(send({ message: "Your table is waiting" }));
  assert.equal((await stored("Your table is waiting")).length, 1);
  const lost = await call("explain_rejection", {});
  assert.match(lost.reasons[0], /^the fault reset was injected: the request was processed/);
  const { requests } = await call("list_requests", { operation: "sendMessage", limit: 2 });
  assert.deepEqual(requests.map((request) => request.responseLost), [true, false]);
  assert.equal((await send({ message: "Once" })).status, 201);
  assert.deepEqual(await call("clear_faults", {}), { active: [] });

  const before = Date.parse((await call("sandbox_status", {})).clock.now);
  const after = Date.parse((await call("advance_clock", { seconds: 3600 })).now);
  assert.equal(after - before >= 3_600_000, true);

  // Errors name the fix.
  await fails("break_next_request", { fault: "no-such-fault" }, /no-such-fault/);
  await fails("read_conversation", { conversationId: "a/b" }, /404/);
  await fails("read_conversation", {}, /missing field `conversationId`/);
  await fails("send_as_contact", { text: "Hello" }, /unknown field `text`/);
  await fails("delete_everything", {}, /expected one of `sandbox_status`/);

  await call("reset", {});
  assert.deepEqual((await call("list_requests", {})).requests, []);
  await client.close();

  // Without a sandbox, the server runs, and its tools report it.
  const alone = await connect("http://127.0.0.1:1");
  const { content, isError } = await alone.callTool({ name: "sandbox_status", arguments: {} });
  assert.equal(isError, true);
  assert.match(content[0].text, /no sandbox responds at http:\/\/127\.0\.0\.1:1/);
  await alone.close();
}

/** Receives webhook events. */
class Receiver {
  #events = [];
  #waiting = [];
  #server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    response.end();
    this.#events.push(JSON.parse(Buffer.concat(chunks)));
    this.#waiting.shift()?.();
  });

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${this.#server.address().port}/webhooks`;
  }

  async next() {
    if (this.#events.length === 0) await new Promise((resolve) => this.#waiting.push(resolve));
    return this.#events.shift();
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

const receiver = new Receiver();
await receiver.listen();
const options = ["serve", "--json", "--until-stdin-closes", "--address", "127.0.0.1:0"];
const sandbox = spawn(program, options, { stdio: ["pipe", "pipe", "inherit"] });
try {
  const { value } = await createInterface({ input: sandbox.stdout })[Symbol.asyncIterator]().next();
  sandbox.stdout.resume();
  await flow(JSON.parse(value).data, receiver);
} finally {
  sandbox.stdin.end();
  receiver.close();
}
console.log(`The client of @modelcontextprotocol/sdk ${version} uses all tools.`);
