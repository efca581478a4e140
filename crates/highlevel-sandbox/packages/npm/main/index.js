// Starts a sandbox for a test. CommonJS, which `import` and `require` can load, and with it vitest, jest and node:test.
"use strict";

const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");

const NAME = process.platform === "win32" ? "highlevel-sandbox.exe" : "highlevel-sandbox";
/** The most text of standard error that an error quotes. */
const MAX_QUOTED = 4000;

/** Returns the path of the program, which is in the package of this platform. */
function findProgram() {
  if (process.env.HIGHLEVEL_SANDBOX_BINARY) return process.env.HIGHLEVEL_SANDBOX_BINARY;
  const platform = `highlevel-sandbox-${process.platform}-${process.arch}`;
  try {
    return require.resolve(`${platform}/bin/${NAME}`);
  } catch {
    throw new Error(
      `the package ${platform} is not installed; install without --omit=optional, or, if there is no such package, ` +
        "build the program with cargo and set HIGHLEVEL_SANDBOX_BINARY to its path",
    );
  }
}

class Sandbox {
  #process;
  #stopped;

  constructor(process, stopped, facts) {
    this.#process = process;
    this.#stopped = stopped;
    this.url = facts.baseUrl;
    this.adminUrl = facts.adminUrl;
    this.inspectorUrl = facts.inspectorUrl;
    this.token = facts.token;
    this.locationId = facts.locationId;
    this.contactId = facts.contactId;
    this.conversationId = facts.conversationId;
    this.providerIds = facts.providerIds;
    this.appId = facts.appId;
    this.clientId = facts.clientId;
    this.clientSecret = facts.clientSecret;
    this.webhookPublicKey = facts.webhookPublicKey;
  }

  get webhookPublicKeyPem() {
    return `-----BEGIN PUBLIC KEY-----\n${this.webhookPublicKey}\n-----END PUBLIC KEY-----\n`;
  }

  get environment() {
    return {
      HIGHLEVEL_BASE_URL: this.url,
      HIGHLEVEL_TOKEN: this.token,
      HIGHLEVEL_LOCATION_ID: this.locationId,
      HIGHLEVEL_CONTACT_ID: this.contactId,
      HIGHLEVEL_CLIENT_ID: this.clientId,
      HIGHLEVEL_CLIENT_SECRET: this.clientSecret,
      HIGHLEVEL_SANDBOX_URL: this.url,
    };
  }

  async admin(method, path, body) {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(this.adminUrl + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  async reset() {
    await this.admin("POST", "reset");
  }

  async setWebhookUrl(url) {
    await this.admin("PATCH", "webhooks", { url });
  }

  async addContact(id, fields) {
    return this.admin("PUT", `contacts/${encodeURIComponent(id)}`, fields ?? {});
  }

  async contacts() {
    return (await this.admin("GET", "contacts?limit=1000")).contacts;
  }

  async messages(filters) {
    return (await this.admin("GET", `messages?${new URLSearchParams({ limit: "1000", ...filters })}`)).messages;
  }

  async simulateInbound(fields) {
    return this.admin("POST", "simulate/inbound", fields ?? {});
  }

  async breakNext(fault, rule) {
    return this.admin("POST", "faults", { fault, schedule: { first: 1 }, ...rule });
  }

  async stop() {
    this.#process.ref();
    this.#process.stdin.end();
    await this.#stopped;
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.stop();
  }
}

async function startSandbox({ options = [], webhookUrl } = {}) {
  const program = findProgram();
  const webhooks = webhookUrl === undefined ? [] : ["--webhook-url", webhookUrl];
  const fixed = ["serve", "--json", "--until-stdin-closes", "--address", "127.0.0.1:0"];
  const child = spawn(program, [...fixed, ...webhooks, ...options], { stdio: ["pipe", "pipe", "pipe"] });
  // A write to a process that has exited fails, which its exit reports better.
  child.stdin.on("error", () => {});
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors = (errors + text).slice(-MAX_QUOTED);
    process.stderr.write(text);
  });
  const stopped = new Promise((resolve) => child.once("close", resolve));
  const facts = await new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stdout });
    lines.once("line", (line) => {
      lines.close();
      // Unread output would fill the pipe.
      child.stdout.resume();
      resolve(JSON.parse(line).data);
    });
    child.once("error", (error) => reject(new Error(`${program} cannot be run: ${error.message}`)));
    child.once("close", (code) => reject(new Error(`the sandbox exited with ${code}: ${errors.trim()}`)));
  });
  // A test runner can end without `stop`: the sandbox stops when its standard input closes.
  for (const handle of [child, child.stdin, child.stdout, child.stderr]) handle.unref();
  return new Sandbox(child, stopped, facts);
}

exports.findProgram = findProgram;
exports.startSandbox = startSandbox;
