// Starts a sandbox with the installed packages, and sends a message.
import assert from "node:assert/strict";
import { startSandbox } from "highlevel-sandbox";

const sandbox = await startSandbox();
const response = await fetch(`${sandbox.url}/conversations/messages`, {
  method: "POST",
  headers: { authorization: `Bearer ${sandbox.token}`, version: "2021-04-15", "content-type": "application/json" },
  body: JSON.stringify({ type: "SMS", contactId: sandbox.contactId, message: "Hello", status: "pending" }),
});
assert.equal(response.status, 201);
await sandbox.stop();
