/** A message, a contact or another object of the admin API. `GET /_sandbox/openapi.json` describes them. */
export type AdminObject = Record<string, any>;

export interface StartOptions {
  /** Options of `highlevel-sandbox serve`, for example `["--strictness", "documented"]`. */
  options?: readonly string[];
  /** The URL for signed webhook events. By default none are sent. */
  webhookUrl?: string;
}

/** A running sandbox. It stops when this process ends, however it ends. */
export interface Sandbox {
  /** The base URL of the API, without a slash at its end. */
  readonly url: string;
  /** The URL of the admin API, with a slash at its end. */
  readonly adminUrl: string;
  /** The URL of the inspector, a page for browsers. */
  readonly inspectorUrl: string;
  /** The private integration token. */
  readonly token: string;
  readonly locationId: string;
  /** A contact that always exists. */
  readonly contactId: string;
  /** The conversation with that contact. */
  readonly conversationId: string;
  readonly providerIds: Readonly<Record<"sms" | "custom-sms" | "email" | "call", string>>;
  readonly appId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** The Ed25519 key that signs webhooks: base64 of a SubjectPublicKeyInfo, as HighLevel publishes its own. */
  readonly webhookPublicKey: string;
  /** The same key in PEM format. */
  readonly webhookPublicKeyPem: string;
  /** The environment variables that configure a program for this sandbox. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Sends a request to a path below `/_sandbox/`. Returns the JSON of the response, `undefined` if it is empty. Rejects with
   * the reason if the sandbox rejects the request.
   */
  admin(method: string, path: string, body?: unknown): Promise<any>;
  /** Restores the state of the start: objects, credentials, settings, faults and webhook URL. */
  reset(): Promise<void>;
  /** Sends the events from now on to this URL. */
  setWebhookUrl(url: string): Promise<void>;
  /** Creates or replaces a contact, for example `addContact("grace", { name: "Grace", phone: "+15035550123" })`. */
  addContact(id: string, fields?: AdminObject): Promise<AdminObject>;
  /** Returns the first 1,000 contacts, ordered by ID. */
  contacts(): Promise<AdminObject[]>;
  /** Returns the first 1,000 messages, for example `messages({ contactId: "grace", direction: "inbound" })`. */
  messages(filters?: Record<string, string>): Promise<AdminObject[]>;
  /** Simulates a message of a contact, for example `simulateInbound({ message: "Hello" })`. Sends its event. */
  simulateInbound(fields?: AdminObject): Promise<AdminObject>;
  /** Breaks the next request, for example `breakNext("reset", { stage: "after" })`: processed, and the response is lost. */
  breakNext(fault: string, rule?: AdminObject): Promise<AdminObject>;
  /** Stops the sandbox. Requests in progress are completed. */
  stop(): Promise<void>;
}

/** Starts a sandbox on a free port of this machine. Rejects if the program cannot be run or exits, with its message. */
export function startSandbox(options?: StartOptions): Promise<Sandbox>;

/**
 * Returns the path of the program. The environment variable `HIGHLEVEL_SANDBOX_BINARY` takes precedence over the program of
 * the package of this platform.
 */
export function findProgram(): string;
