// A realistic scenario that covers everything the inspector can show, with a paused clock.
import { createPublicKey, verify } from "node:crypto";

import { startReceiver, startSandbox } from "./sandbox.mjs";

const NOW = "2026-03-14T09:30:00.000Z";
const HTML = `<!doctype html><html><body style="font-family: Georgia, serif; color: #333; max-width: 36em">
<h2 style="color: #1f6f54">Your table is ready</h2><p>Dear Grace,</p>
<p>we have kept the <b>corner table</b> for four people, <b>Saturday at 19:30</b>.</p>
<p style="background: #eef6f2; padding: 12px; border-radius: 6px">Restaurant am Fluss, Uferweg 4</p></body></html>`;

/** Starts a sandbox with the scenario. Returns the sandbox, its webhook receiver and the relevant IDs. */
export async function tell() {
  // Responds to one event with 503 twice and accepts it the third time. Rejects invalid signatures.
  let key = null;
  let refusals = 2;
  const receiver = await startReceiver(({ headers, body }) => {
    const signature = Buffer.from(headers["x-ghl-signature"] ?? "", "base64");
    if (!verify(null, Buffer.from(body), key, signature)) return 401;
    return body.includes("corner table for Saturday") && refusals-- > 0 ? 503 : 200;
  });
  const sandbox = await startSandbox("--webhook-url", receiver.url);
  key = createPublicKey({ key: Buffer.from(sandbox.facts.webhookPublicKey, "base64"), format: "der", type: "spki" });
  const { conversationProviderId: provider } = sandbox.facts;
  const { providers } = await sandbox.admin("GET", "providers?limit=100");
  const { id: callProvider } = providers.find(({ kind }) => kind === "call");
  await sandbox.admin("PATCH", "clock", { now: NOW, speed: 0 });
  await sandbox.admin("PATCH", "webhooks", { retries: "custom", waitsMs: [60_000, 300_000] });
  const people = [
    ["Grace Hopper", "+15037081210", "grace@example.com"],
    ["Alan Turing", "+441908640404", "alan@example.com"],
    ["Katherine Johnson", "+17577270000", "katherine@example.com"],
  ];
  const { contacts } = await sandbox.admin("GET", "contacts?limit=100");
  const [grace, alan, katherine] = contacts.map(({ id }) => id);
  for (const [number, [name, phone, email]] of people.entries()) {
    await sandbox.admin("PUT", `contacts/${contacts[number].id}`, { name, phone, email });
  }

  /** Waits until every delivery has completed an attempt, so that the scenario is reproducible. */
  const settled = () =>
    until(async () => {
      const { deliveries } = await sandbox.admin("GET", "deliveries?limit=500");
      return deliveries.every(({ attempts }) => attempts.length > 0) && deliveries;
    });
  const later = async (seconds) => {
    await settled();
    await sandbox.admin("PATCH", "clock", { advanceMs: seconds * 1000 });
  };
  const inbound = (fields) => sandbox.api("POST", "/conversations/messages/inbound", { type: "SMS", conversationProviderId: provider, ...fields });
  const status = (id, is, error) => sandbox.admin("PUT", `messages/${id}/status`, { status: is, ...(error && { error }) });

  const first = await sandbox.send({ contactId: alan, message: "Your order has left us. It will be with you on Monday." });
  await later(75);
  await status(first.messageId, "delivered");
  await inbound({ contactId: alan, message: "Great, thank you!" });
  await later(300);
  await sandbox.send({ type: "WhatsApp", contactId: katherine, message: "Hello Katherine, is Tuesday still good for you?" });
  await later(40);
  const failed = await sandbox.send({ contactId: katherine, message: "We have tried to reach you." });
  await status(failed.messageId, "failed", "the number is not in service");
  await later(600);

  const conversation = await sandbox.send({ contactId: grace, message: "Good morning Grace! Shall we keep the corner table for Saturday?" });
  await status(conversation.messageId, "delivered");
  await later(64);
  await inbound({ contactId: grace, message: "Yes please, for four. 19:30 would be perfect." });
  await later(30);
  const email = await sandbox.send({ type: "Email", contactId: grace, subject: "Your table on Saturday", html: HTML, emailFrom: "table@fluss.example", emailTo: "grace@example.com", emailCc: ["ops@fluss.example"] });
  await status(email.messageId, "read");
  await later(420);
  const call = { type: "Call", conversationId: conversation.conversationId, conversationProviderId: callProvider };
  await sandbox.api("POST", "/conversations/messages/outbound", { ...call, call: { to: "+15037081210", from: "+15035550100", status: "completed" }, attachments: [], date: new Date(Date.parse(NOW) + 1_530_000).toISOString() });
  await later(180);
  await sandbox.admin("POST", "simulate/call", { direction: "inbound", contactId: grace, outcome: "voicemail", durationSeconds: 23, recordings: ["https://media.example/voicemail-23.mp3"] });
  await later(20);
  // An integration sends a duplicate, and an invalid request.
  const again = { contactId: grace, message: "Your table is ready", type: "SMS", status: "pending" };
  await sandbox.send(again);
  await later(12);
  const twice = await sandbox.send(again);
  await sandbox.api("POST", "/conversations/messages", { type: "SmS", contactId: grace, mesage: "Your table is ready", attachments: "menu.pdf", status: "pending" });
  await sandbox.admin("POST", "faults", { fault: "unavailable", schedule: { everyNth: 20 } });
  await sandbox.admin("POST", "faults", { fault: "reset", path: "/conversations/messages", method: "POST", schedule: { random: { probability: 0.05, seed: 7 } } });
  const deliveries = await settled();
  const refused = deliveries.find(({ attempts }) => attempts[0].response?.status === 503);
  await sandbox.admin("POST", `deliveries/${refused.id}/resend`, { tamperMode: "wrongKey" });
  await until(async () => (await sandbox.admin("GET", `deliveries/${refused.id}`)).attempts.some(({ tamperMode }) => tamperMode));
  const { requests } = await sandbox.admin("GET", "requests?limit=500");
  return {
    sandbox,
    receiver,
    contact: grace,
    message: conversation.messageId,
    refused: requests.find(({ status }) => status === 422)?.id ?? requests[0].id,
    twice: requests.find(({ messageId }) => messageId === twice.messageId)?.id,
    delivery: refused.id,
    stop: async () => {
      await sandbox.stop();
      await receiver.stop();
    },
  };
}

/** Calls a function until it returns a truthy value. */
export async function until(condition) {
  const startedAt = Date.now();
  for (;;) {
    const value = await condition();
    if (value) return value;
    // Much longer than necessary; only broken tests reach it.
    if (Date.now() - startedAt > 120_000) throw new Error(`timed out: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
