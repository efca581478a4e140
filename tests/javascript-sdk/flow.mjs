// A day of a bridge, with HighLevel's official JavaScript SDK against the sandbox: it installs its app, finds a contact, carries
// messages and calls in both directions, reports and cancels, and reads everything back. The ledger of the sandbox has the last
// word about what was stored.
//
// The SDK is not modified. It has no option for the base URL, so that its static field is set.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const [program, packages] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const { HighLevel } = require("@gohighlevel/api-client");
const { name: SDK, version } = require("@gohighlevel/api-client/package.json");

const REDIRECT_URI = "http://127.0.0.1:9/back";
const SCOPES = [
  "contacts.readonly",
  "contacts.write",
  "conversations.readonly",
  "conversations.write",
  "conversations/message.readonly",
  "conversations/message.write",
  "conversations/livechat.write",
].join(" ");
const PHONE = "+15035550123";
const OFFICE = "+15035550100";
const EMAIL = "joan@example.com";

/** Fails unless a request is rejected with this status and message. */
async function rejects(request, status, message) {
  await assert.rejects(request, (error) => {
    assert.deepEqual([error.statusCode, error.message], [status, message]);
    return true;
  });
}

/** Receives webhook events, and verifies them with the SDK. */
class Receiver {
  events = [];
  sdk;
  #server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      request.body = Buffer.concat(chunks);
      this.sdk.webhooks.subscribe()(request, response, (error) => {
        this.events.push({ ...JSON.parse(request.body), isValid: !error && request.isSignatureValid });
        response.end();
      });
    });
  });

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  /** Returns the event about a message. */
  async event(messageId) {
    for (let attempt = 0; attempt < 3_000; attempt += 1) {
      const found = this.events.find((event) => event.messageId === messageId);
      if (found) return found;
      await sleep(20);
    }
    throw new Error(`no event about ${messageId} arrived`);
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Installs the app as a person does in the browser, and stores the tokens in the SDK. */
async function install(sdk, sandbox) {
  const { pathname, search } = new URL(sdk.oauth.getAuthorizationUrl(sandbox.clientId, REDIRECT_URI, SCOPES));
  const choice = `${sandbox.baseUrl}${pathname}${search}&location_id=${sandbox.locationId}`;
  const response = await fetch(choice, { redirect: "manual" });
  assert.equal(response.status, 302);
  const tokens = await sdk.oauth.getAccessToken({
    client_id: sandbox.clientId,
    client_secret: sandbox.clientSecret,
    grant_type: "authorization_code",
    code: new URL(response.headers.get("location")).searchParams.get("code"),
    user_type: "Location",
    redirect_uri: REDIRECT_URI,
  });
  assert.deepEqual([tokens.userType, tokens.locationId], ["Location", sandbox.locationId]);
  await sdk.getSessionStorage().setSession(sandbox.locationId, tokens);
  return tokens;
}

async function day(sandbox, receiver) {
  HighLevel.BASE_URL = sandbox.baseUrl;
  const { locationId, clientId, clientSecret, providerIds, webhookPublicKey } = sandbox;
  const sdk = new HighLevel({ clientId, clientSecret, webhookPublicKey, logLevel: "none" });
  receiver.sdk = sdk;
  const { contacts, conversations } = sdk;
  // The SDK finds the token of a request by the ID of its location. Most requests have none, so that a header names it.
  const here = { headers: { locationId } };
  const admin = async (method, path, body) => {
    const response = await fetch(sandbox.adminUrl + path, {
      method,
      headers: { "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
    assert.equal(response.ok, true, `${method} ${path}: ${response.status}`);
    return response.json();
  };
  const stored = async (id) => admin("GET", `messages/${id}`);

  const installed = await install(sdk, sandbox);

  // A caller is unknown, and becomes a contact.
  const unknown = await contacts.getDuplicateContact({ locationId, number: PHONE });
  assert.equal(unknown.contact, undefined);
  const created = await contacts.upsertContact({ locationId, phone: "(503) 555-0123", firstName: "Joan", email: EMAIL });
  assert.equal(created.new, true);
  const contactId = created.contact.id;
  const updated = await contacts.upsertContact({ locationId, phone: PHONE, lastName: "Clarke", tags: ["bridge"] });
  assert.deepEqual([updated.new, updated.contact.id], [false, contactId]);
  for (const query of [{ number: PHONE }, { email: EMAIL }]) {
    const { contact } = await contacts.getDuplicateContact({ locationId, ...query });
    assert.equal(contact.id, contactId);
  }
  const { contact } = await contacts.getContact({ contactId }, here);
  assert.deepEqual(
    [contact.phone, contact.email, contact.firstName, contact.lastName, contact.tags],
    [PHONE, EMAIL, "Joan", "Clarke", ["bridge"]],
  );
  const search = await contacts.searchContactsAdvanced({ locationId, pageLimit: 10, query: "clarke" });
  assert.deepEqual([search.total, search.contacts[0].id], [1, contactId]);
  const list = await contacts.getContacts({ locationId, query: "clarke", limit: 1 });
  assert.deepEqual([list.count, list.contacts[0].id, list.meta.startAfterId], [1, contactId, contactId]);
  assert.deepEqual((await contacts.getContacts({ locationId, query: "clarke", ...list.meta })).contacts, []);
  await rejects(
    contacts.createContact({ locationId, email: EMAIL }),
    400,
    "This location does not allow duplicated contacts.",
  );
  const moved = await contacts.updateContact({ contactId }, { city: "Portland" }, here);
  assert.deepEqual([moved.contact.id, moved.contact.city], [contactId, "Portland"]);
  const tagged = await contacts.addTags({ contactId }, { tags: ["vip"] }, here);
  assert.deepEqual(tagged.tags, ["bridge", "vip"]);
  const untagged = await contacts.removeTags({ contactId }, { tags: ["vip"] }, here);
  assert.deepEqual(untagged.tags, ["bridge"]);
  const noted = await contacts.createNote({ contactId }, { body: "Prefers calls" }, here);
  assert.equal(noted.note.body, "Prefers calls");

  // The contact gets its conversation, exactly one.
  const before = await conversations.searchConversation({ locationId, contactId });
  assert.deepEqual(before.conversations, []);
  const { conversation } = await conversations.createConversation({ locationId, contactId });
  const conversationId = conversation.id;
  await rejects(conversations.createConversation({ locationId, contactId }), 400, "Conversation already exists");
  const after = await conversations.searchConversation({ locationId, contactId });
  assert.deepEqual([after.total, after.conversations[0].id], [1, conversationId]);
  const read = await conversations.getConversation({ conversationId }, here);
  assert.deepEqual([read.contactId, read.type], [contactId, 1]);

  // Tokens expire in between. The SDK refreshes them, and the request succeeds.
  assert.deepEqual(await admin("POST", "oauth/expire", { locationId }), { tokens: 1 });

  // A message arrives over the bridge, and the reply leaves over it: sent, delivered, read.
  const inbound = await conversations.addAnInboundMessage(
    { type: "SMS", contactId, conversationProviderId: providerIds.sms, message: "Is a table free tonight?", altId: "carrier-1" },
    here,
  );
  assert.deepEqual([inbound.success, inbound.conversationId], [true, conversationId]);
  const session = await sdk.getSessionStorage().getSession(locationId);
  assert.notEqual(session.access_token, installed.access_token);
  const sms = { type: "SMS", contactId, conversationProviderId: providerIds.sms, message: "Yes, at eight", status: "pending" };
  const sent = await conversations.sendANewMessage(sms, here);
  assert.equal(sent.conversationId, conversationId);
  for (const status of ["delivered", "read"]) {
    const report = await conversations.updateMessageStatus({ messageId: sent.messageId }, { status }, here);
    assert.equal(report.messageId, sent.messageId);
    assert.equal((await stored(sent.messageId)).status, status);
  }
  const lost = await conversations.sendANewMessage({ ...sms, message: "Or at nine" }, here);
  await rejects(
    conversations.updateMessageStatus({ messageId: lost.messageId }, { status: "failed" }, here),
    422,
    "error must be an object",
  );
  const error = { code: "30003", type: "saas", message: "The phone is switched off" };
  await conversations.updateMessageStatus({ messageId: lost.messageId }, { status: "failed", error }, here);
  assert.equal((await stored(lost.messageId)).status, "failed");

  // The unread message of the contact is marked as read.
  assert.equal((await conversations.getConversation({ conversationId }, here)).unreadCount, 1);
  const marked = await conversations.updateConversation({ conversationId }, { locationId, unreadCount: 0 });
  assert.deepEqual([marked.success, marked.conversation.unreadCount], [true, 0]);

  // A visitor of a live chat sees that the reply is being written.
  const typing = { locationId, conversationId, visitorId: "visitor", isTyping: true };
  assert.equal((await conversations.liveChatAgentTyping(typing)).success, true);

  // A call that ended, with its recording and transcription.
  const call = await conversations.addAnOutboundMessage(
    {
      type: "Call",
      conversationId,
      conversationProviderId: providerIds.call,
      altId: "carrier-2",
      call: { from: OFFICE, to: PHONE, status: "completed", callDuration: 2 },
    },
    here,
  );
  const recording = await conversations.getMessageRecording(
    { locationId, messageId: call.messageId },
    { responseType: "arraybuffer" },
  );
  assert.equal(recording.subarray(0, 4).toString(), "RIFF");
  const files = ["https://carrier.example/recording.mp3"];
  await conversations.addMessageAttachments({ messageId: call.messageId }, { attachments: files }, here);
  const sentences = await conversations.getMessageTranscription({ locationId, messageId: call.messageId });
  assert.equal(sentences.length, 3);
  await rejects(
    conversations.getMessageRecording({ locationId, messageId: sent.messageId }),
    400,
    "No recording found for this message.",
  );

  // A file is uploaded, and is sent with a message. The SDK sends a form as JSON unless a header names the form.
  const form = new FormData();
  for (const [name, value] of Object.entries({ conversationId, contactId, locationId })) form.append(name, value);
  form.append("fileAttachment", new Blob(["Soup of the day"], { type: "text/plain" }), "menu.txt");
  const { uploadedFiles } = await conversations.uploadFileAttachments(form, {
    headers: { locationId, "Content-Type": "multipart/form-data" },
  });
  assert.deepEqual(Object.keys(uploadedFiles), ["menu.txt"]);
  assert.equal(await (await fetch(uploadedFiles["menu.txt"])).text(), "Soup of the day");
  const menu = await conversations.sendANewMessage({ ...sms, attachments: Object.values(uploadedFiles) }, here);
  assert.deepEqual((await stored(menu.messageId)).request.attachments, [uploadedFiles["menu.txt"]]);

  // An email, which is read alone.
  const mail = await conversations.sendANewMessage(
    { type: "Email", contactId, subject: "Your table", html: "<p>At eight</p>", status: "pending" },
    here,
  );
  // The SDK sends no token with the requests about one email, because its description of the API demands none.
  const withToken = { headers: { Authorization: `Bearer ${session.access_token}` } };
  const email = await conversations.getEmailById({ id: mail.emailMessageId }, withToken);
  assert.deepEqual([email.id, email.subject, email.body], [mail.emailMessageId, "Your table", "<p>At eight</p>"]);

  // A reminder is scheduled, and cancelled. A failure is a 200 with another status inside.
  const tomorrow = Math.floor(Date.now() / 1000) + 24 * 60 * 60;
  const reminder = await conversations.sendANewMessage({ ...sms, message: "See you", scheduledTimestamp: tomorrow }, here);
  assert.equal((await stored(reminder.messageId)).status, "scheduled");
  const cancel = () => conversations.cancelScheduledMessage({ messageId: reminder.messageId }, here);
  assert.equal((await cancel()).status, 200);
  assert.equal((await cancel()).status, 404);
  const invitation = await conversations.sendANewMessage(
    { type: "Email", contactId, subject: "Come again", html: "<p>Soon</p>", status: "pending", scheduledTimestamp: tomorrow },
    here,
  );
  const { emailMessageId } = invitation;
  assert.equal((await conversations.cancelScheduledEmailMessage({ emailMessageId }, withToken)).status, 200);

  // The conversation is read back page by page, the latest message first.
  const expected = [mail, menu, call, lost, sent, inbound].map((each) => each.messageId);
  const listed = [];
  for (let lastMessageId, nextPage = true; nextPage; ) {
    const { messages } = await conversations.getMessages({ conversationId, limit: 2, lastMessageId }, here);
    listed.push(...messages.messages);
    ({ lastMessageId, nextPage } = messages);
  }
  assert.deepEqual(listed.map((each) => each.id).sort(), [...expected].sort());
  const { message } = await conversations.getMessage({ id: call.messageId }, here);
  assert.deepEqual(
    [message.direction, message.altId, message.attachments, message.meta.call],
    ["outbound", "carrier-2", files, { duration: 2, status: "completed" }],
  );

  // The export has everything but the emails, with a cursor.
  const exported = [];
  for (let cursor, more = true; more; ) {
    const page = await conversations.exportMessagesByLocation({ locationId, contactId, limit: 3, cursor });
    exported.push(...page.messages.map((each) => each.id));
    cursor = page.nextCursor;
    more = Boolean(cursor);
  }
  assert.deepEqual(exported, expected.slice(1));

  // Events of all messages arrived, and the SDK accepts their signatures.
  for (const id of expected) {
    assert.equal((await receiver.event(id)).isValid, true, `the event about ${id}`);
  }

  // The ledger: nothing else was stored, and the spec has all fields of all requests. Five failed, each once and on purpose.
  const { messages } = await admin("GET", `messages?contactId=${contactId}&limit=1000`);
  assert.deepEqual(messages.map((each) => each.id).sort(), [...expected].sort());
  const { requests } = await admin("GET", "requests?limit=1000");
  const failed = requests.filter((each) => each.status >= 400).map((each) => `${each.operation} ${each.status}`);
  assert.deepEqual(failed.sort(), [
    "addInboundMessage 401",
    "createContact 400",
    "createConversation 400",
    "getRecording 400",
    "updateMessageStatus 422",
  ]);
  for (const { operation, tolerated, unknownFields, headers } of requests) {
    assert.deepEqual([...tolerated, ...unknownFields], [], operation);
    assert.equal(operation === null || headers.some(([name]) => name === "x-sdk-version"), true, operation);
  }

  // All operations that the sandbox serves were used, except for one, for which the SDK has no method.
  const { components } = await admin("GET", "openapi.json");
  const used = new Set(requests.map((each) => each.operation));
  const unused = components.schemas.OperationId.enum.filter((operation) => !used.has(operation));
  assert.deepEqual(unused, ["updateEmailStatus"]);
}

const receiver = new Receiver();
const webhookUrl = await receiver.listen();
const options = ["--json", "--until-stdin-closes", "--redirect-uri", REDIRECT_URI, "--webhook-url", webhookUrl];
const sandbox = spawn(program, ["serve", ...options], { stdio: ["pipe", "pipe", "inherit"] });
try {
  const lines = createInterface({ input: sandbox.stdout })[Symbol.asyncIterator]();
  const { value } = await lines.next();
  sandbox.stdout.resume();
  await day(JSON.parse(value).data, receiver);
} finally {
  sandbox.stdin.end();
  receiver.close();
}
console.log(`${SDK} ${version} completes the day of a bridge.`);
