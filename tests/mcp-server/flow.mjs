// A day of a bridge, with the tools of ghl-mcp-server over its MCP protocol on standard input and output, against the sandbox.
// The server is not modified. The ledger of the sandbox has the last word about what was stored.
//
// No tool can schedule a message, so that there is none to cancel. `upload_message_attachments` sends a form without a file, and
// `download_transcription` uses an endpoint that the spec does not have, so that both are left out.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [program, packages] = process.argv.slice(2);
const SERVER = `${packages}/node_modules/ghl-mcp-server`;
const { name, version } = JSON.parse(readFileSync(`${SERVER}/package.json`));

const PHONE = "+15035550123";
const OFFICE = "+15035550100";
const EMAIL = "joan@example.com";

/** A client of an MCP server that is a child process. */
class Mcp {
  #process;
  #next = 1;
  #waiting = new Map();
  log = "";

  constructor(sandbox) {
    this.#process = spawn(process.execPath, [`${SERVER}/dist/server.js`], {
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        ...process.env,
        GHL_BASE_URL: sandbox.baseUrl,
        GHL_API_KEY: sandbox.token,
        GHL_LOCATION_ID: sandbox.locationId,
      },
    });
    this.#process.stderr.on("data", (chunk) => (this.log += chunk));
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      const { id, result, error } = JSON.parse(line);
      const [resolve, reject] = this.#waiting.get(id);
      if (error) reject(new Error(error.message));
      else resolve(result);
    });
    this.#process.on("exit", (code) => {
      for (const [, reject] of this.#waiting.values()) reject(new Error(`the server ended with ${code}: ${this.log}`));
    });
  }

  request(method, params) {
    const id = this.#next++;
    const response = new Promise((resolve, reject) => this.#waiting.set(id, [resolve, reject]));
    this.#process.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    return response;
  }

  async initialize() {
    await this.request("initialize", {
      protocolVersion: "2024-11-05",
      capabilities: {},
      clientInfo: { name: "test", version: "1.0.0" },
    });
    this.#process.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`);
  }

  /** Calls a tool. Returns its result. */
  async call(name, args) {
    const { content } = await this.request("tools/call", { name, arguments: args });
    return JSON.parse(content[0].text);
  }

  stop() {
    this.#process.kill();
  }
}

async function day(sandbox, mcp) {
  const { providerIds, ...facts } = sandbox;
  const admin = async (path) => {
    const response = await fetch(facts.adminUrl + path);
    assert.equal(response.ok, true, path);
    return response.json();
  };
  const stored = (id) => admin(`messages/${id}`);
  await mcp.initialize();
  const { tools } = await mcp.request("tools/list", {});
  assert.equal(tools.length > 200, true);

  // A caller is unknown, and becomes a contact.
  assert.equal(await mcp.call("get_duplicate_contact", { email: "unknown" }), null);
  const { contact, new: isNew } = await mcp.call("upsert_contact", { firstName: "Joan", phone: PHONE, email: EMAIL });
  assert.equal(isNew, true);
  const contactId = contact.id;
  const again = await mcp.call("upsert_contact", { lastName: "Clarke", phone: PHONE });
  assert.deepEqual([again.new, again.contact.id], [false, contactId]);
  // The tool encodes the address twice, so that a contact is never found.
  assert.equal(await mcp.call("get_duplicate_contact", { email: EMAIL }), null);
  assert.equal((await mcp.call("get_contact", { contactId })).phone, PHONE);
  assert.deepEqual((await mcp.call("add_contact_tags", { contactId, tags: ["bridge"] })).tags, ["bridge"]);
  assert.deepEqual((await mcp.call("remove_contact_tags", { contactId, tags: ["bridge"] })).tags, []);
  assert.equal((await mcp.call("create_contact_note", { contactId, body: "Prefers calls" })).body, "Prefers calls");
  assert.equal((await mcp.call("update_contact", { contactId, firstName: "Jo" })).firstName, "Jo");
  const search = await mcp.call("search_contacts", { query: "clarke" });
  assert.deepEqual(search.contacts.map((each) => each.id), [contactId]);
  const other = await mcp.call("create_contact", { firstName: "Grace", email: "hopper@example.com" });
  assert.notEqual(other.id, contactId);

  // The contact gets its conversation, exactly one.
  const { conversationId } = await mcp.call("create_conversation", { contactId });
  await assert.rejects(mcp.call("create_conversation", { contactId }), /400.*Conversation already exists/);
  const conversations = await mcp.call("search_conversations", { contactId });
  assert.deepEqual([conversations.total, conversations.conversations[0].id], [1, conversationId]);

  // Messages and a call in both directions.
  const inbound = await mcp.call("add_inbound_message", {
    type: "SMS",
    conversationId,
    conversationProviderId: providerIds.sms,
    message: "Is a table free tonight?",
    altId: "carrier-1",
  });
  assert.equal(inbound.conversationId, conversationId);
  const recent = await mcp.call("get_recent_messages", {});
  assert.deepEqual(recent.conversations.map((each) => [each.conversationId, each.unreadCount]), [[conversationId, 1]]);
  assert.equal((await mcp.call("update_conversation", { conversationId, unreadCount: 0 })).conversation.unreadCount, 0);
  const sms = await mcp.call("send_sms", { contactId, message: "Yes, at eight" });
  const email = await mcp.call("send_email", { contactId, subject: "Your table", html: "<p>At eight</p>" });
  const call = await mcp.call("add_outbound_call", {
    conversationId,
    conversationProviderId: providerIds.call,
    from: OFFICE,
    to: PHONE,
    status: "completed",
  });

  // Reports: of a message through the provider. The message of `send_sms` has no provider, so that its status cannot be set.
  const delivered = await mcp.call("update_message_status", { messageId: inbound.messageId, status: "read" });
  assert.equal(delivered.success, true);
  assert.equal((await stored(inbound.messageId)).status, "read");
  await assert.rejects(mcp.call("update_message_status", { messageId: sms.messageId, status: "delivered" }), /403/);

  // Everything is read back.
  const { messageData } = await mcp.call("get_message", { messageId: inbound.messageId });
  assert.deepEqual([messageData.message.body, messageData.message.altId], ["Is a table free tonight?", "carrier-1"]);
  const { emailMessage } = await mcp.call("get_email_message", { emailMessageId: email.emailMessageId });
  assert.equal(emailMessage.subject, "Your table");
  const { conversation, messages } = await mcp.call("get_conversation", { conversationId });
  assert.equal(conversation.id, conversationId);
  const expected = [inbound, sms, email, call].map((each) => each.messageId).sort();
  assert.deepEqual(messages.messages.map((each) => each.id).sort(), expected);
  const recording = await mcp.call("get_message_recording", { messageId: call.messageId });
  assert.equal(Buffer.from(recording.recording.data).subarray(0, 4).toString(), "RIFF");
  const { transcriptions } = await mcp.call("get_message_transcription", { messageId: call.messageId });
  assert.equal(transcriptions.length, 3);
  const cancelled = await mcp.call("cancel_scheduled_message", { messageId: sms.messageId });
  assert.equal(cancelled.status, 404);
  const typing = { visitorId: "visitor", conversationId, isTyping: true };
  assert.equal((await mcp.call("live_chat_typing", typing)).success, true);

  // The ledger: nothing else was stored. Of the rejected requests, two are those above. The third one is that of the server when
  // it starts: it reads the location, continues without it, and the sandbox does not serve it.
  const ledger = await admin(`messages?contactId=${contactId}&limit=1000`);
  assert.deepEqual(ledger.messages.map((each) => each.id).sort(), expected);
  const { requests } = await admin("requests?limit=1000");
  const rejected = requests.filter((each) => each.status >= 400);
  assert.deepEqual(rejected.map((each) => `${each.operation ?? each.path} ${each.status}`).sort(), [
    `/locations/${facts.locationId} 404`,
    "createConversation 400",
    "updateMessageStatus 403",
  ]);
  // The spec has all fields that the tools send. The tools that send messages leave out the status, as many programs do.
  const deviations = requests.flatMap((each) => [...each.tolerated, ...each.unknownFields]);
  assert.deepEqual(deviations, ["send-without-status", "send-without-status"]);
}

const sandbox = spawn(program, ["serve", "--json", "--until-stdin-closes"], { stdio: ["pipe", "pipe", "inherit"] });
let mcp;
try {
  const { value } = await createInterface({ input: sandbox.stdout })[Symbol.asyncIterator]().next();
  sandbox.stdout.resume();
  const facts = JSON.parse(value).data;
  mcp = new Mcp(facts);
  await day(facts, mcp);
} catch (error) {
  process.stderr.write(mcp?.log.slice(-2000) ?? "");
  throw error;
} finally {
  mcp?.stop();
  sandbox.stdin.end();
}
console.log(`${name} ${version} completes the day of a bridge, as far as its tools go.`);
