// Starts the sandbox program and a webhook receiver, and calls the APIs.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const PROGRAM = process.env.SANDBOX ?? new URL("../../../target/debug/highlevel-sandbox", import.meta.url).pathname;

/** Starts a sandbox. `options` are those of `highlevel-sandbox serve`. */
export async function startSandbox(...options) {
  const program = spawn(PROGRAM, ["serve", ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = [];
  const facts = await new Promise((resolve, reject) => {
    program.on("error", reject);
    program.on("exit", (code) => reject(new Error(`${PROGRAM} ended with ${code}`)));
    createInterface({ input: program.stdout }).on("line", (line) => {
      lines.push(line);
      if (line.startsWith("ready ")) resolve(JSON.parse(line.slice("ready ".length)));
    });
  });
  return new Sandbox(program, facts, lines);
}

class Sandbox {
  #program;

  constructor(program, facts, lines) {
    this.#program = program;
    this.facts = facts;
    /** The printed lines. */
    this.lines = lines;
    this.ui = facts.inspectorUrl;
  }

  get pid() {
    return this.#program.pid;
  }

  /** Calls the API as an integration does. Returns status and body. */
  async api(method, path, body, headers = {}) {
    const response = await fetch(this.facts.baseUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${this.facts.token}`,
        version: "2021-04-15",
        "content-type": "application/json",
        ...headers,
      },
      body: typeof body === "string" || body === undefined ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text && JSON.parse(text) };
  }

  /** Sends a message. Defaults to an SMS to the default contact. */
  async send(fields = {}) {
    const message = { type: "SMS", contactId: this.facts.contactId, message: "Hello", status: "pending", ...fields };
    return (await this.api("POST", "/conversations/messages", message)).body;
  }

  /** Calls the admin API. Returns the body. */
  async admin(method, path, body) {
    const ask = () =>
      fetch(this.facts.adminUrl + path, {
        method,
        headers: body === undefined ? {} : { "content-type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    // The server may close an idle connection at the same moment. Reads are retried.
    const response = await (method === "GET" ? ask().catch(ask) : ask());
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  async stop() {
    const gone = new Promise((resolve) => this.#program.once("close", resolve));
    this.#program.kill("SIGTERM");
    await gone;
  }
}

/** Starts a webhook receiver. `status` is the status of its responses, or a function of the request that returns it, possibly as a promise. */
export async function startReceiver(status = 200) {
  const received = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const event = { headers: request.headers, body: Buffer.concat(chunks).toString() };
    received.push(event);
    response.statusCode = typeof status === "function" ? await status(event, received.length) : status;
    response.end("seen");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/webhooks`,
    received,
    stop: () => new Promise((resolve) => server.close(resolve)).finally(server.closeAllConnections()),
  };
}
