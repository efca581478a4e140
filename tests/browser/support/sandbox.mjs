// The real program, on a port of its own, and what a test does to it besides looking at it.
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
    /** What it has printed. */
    this.lines = lines;
    this.ui = facts.inspectorUrl;
  }

  get pid() {
    return this.#program.pid;
  }

  /** Asks the API for something, as an integration does. Answers the status and the body. */
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

  /** Sends a message to the first contact, or what `fields` say. */
  async send(fields = {}) {
    const message = { type: "SMS", contactId: this.facts.contactId, message: "Hello", status: "pending", ...fields };
    return (await this.api("POST", "/conversations/messages", message)).body;
  }

  /** Asks the admin API for something. Answers the body. */
  async admin(method, path, body) {
    const ask = () =>
      fetch(this.facts.adminUrl + path, {
        method,
        headers: body === undefined ? {} : { "content-type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    // A connection that was idle may end just as it is used again: what changes nothing is asked for once more.
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

/** A receiver of webhooks that answers with what `answer` says: a status, or a function of the request that gives one, sooner or later. */
export async function startReceiver(answer = 200) {
  const received = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const event = { headers: request.headers, body: Buffer.concat(chunks).toString() };
    received.push(event);
    response.statusCode = typeof answer === "function" ? await answer(event, received.length) : answer;
    response.end("seen");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/webhooks`,
    received,
    stop: () => new Promise((resolve) => server.close(resolve)).finally(server.closeAllConnections()),
  };
}
