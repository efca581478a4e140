// Measures the inspector with large amounts of data: tests/browser/run measure. Prints the table for docs/benchmarks.md.
import { readFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";

import { live, openPage, startBrowser } from "./support/browser.mjs";
import { startReceiver, startSandbox } from "./support/sandbox.mjs";
import { until } from "./support/story.mjs";

const [MESSAGES, CONTACTS, VIEWS, EVENTS] = [10_000, 100, 20, 100];
// To skip the part that takes minutes: MORE=0 tests/browser/run measure
const MORE = Number(process.env.MORE ?? 100_000);
const load = () => loadavg()[0].toFixed(2);
const sorted = (values) => [...values].sort((one, other) => one - other);
const quantile = (values, part) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * part))];
const median = (values) => quantile(values, 0.5);
const rows = [];
const report = (name, figure, aim = "") => {
  rows.push(`| ${name} | ${figure} | ${aim} |`);
  console.log(rows.at(-1));
};
const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

console.log(`${cpus().length} cores, load ${load()}\n\n| measurement | figure | aim |\n|---|---:|---:|`);
const [browser, receiver] = await Promise.all([startBrowser(), startReceiver(200)]);
const sandbox = await startSandbox("--webhook-url", receiver.url);
const memory = async () => {
  const status = await readFile(`/proc/${sandbox.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)[1]) / 1024;
};
const contact = (number) => `contact-${number % CONTACTS}`;
for (let number = 0; number < CONTACTS; number += 1) await sandbox.admin("PUT", `contacts/${contact(number)}`, { name: `Contact ${number}`, phone: "+15035550130" });

/** Sends a message. Retries once, because the server may close an idle connection at the same moment. */
const sendMessage = (fields) => sandbox.send(fields).catch(() => sandbox.send(fields));
let sent = 0;
async function send(count) {
  const end = sent + count;
  const sender = async () => {
    while (sent < end) {
      const number = (sent += 1);
      await sendMessage({ contactId: contact(number), message: `Message ${number}: ${"lorem ipsum ".repeat(8)}` });
    }
  };
  await Promise.all(Array.from({ length: 16 }, sender));
}
const delivered = () => until(async () => (await sandbox.admin("GET", "deliveries?state=pending&limit=1")).deliveries.length === 0);

await send(MESSAGES);
await delivered();
const stored = await Promise.all(["messages", "requests", "deliveries"].map(async (kind) => (await sandbox.admin("GET", `${kind}?limit=1000`))[kind].length));
if (stored.some((count) => count < 1000)) throw new Error(`too few are stored: ${stored}`);

const [newest] = (await sandbox.admin("GET", "requests?limit=1")).requests;
const [delivery] = (await sandbox.admin("GET", "deliveries?limit=1")).deliveries;
const views = {
  conversations: "/conversations",
  "… one open, 50 messages": `/conversations/${contact(1)}`,
  requests: "/requests",
  "… one open": `/requests/${newest.id}`,
  deliveries: "/deliveries",
  "… one open ": `/deliveries/${delivery.id}`,
  simulation: "/controls",
  "a search in 10,000 requests that finds nothing": "/requests?text=nothing-has-this",
  "a search in 10,000 messages that finds nothing": "/conversations?text=nothing-has-this",
  "a search in 10,000 deliveries that finds nothing": "/deliveries?text=nothing-has-this",
};
/** Returns the time of the first contentful paint with an empty cache. */
async function painted(page, path) {
  await page.goto(sandbox.ui + path);
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  return page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
}

async function first(path) {
  const [started, running] = [[], []];
  for (let count = 0; count < VIEWS; count += 1) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    started.push(await painted(page, path));
    // The same in a tab whose process is already running.
    await page.goto(sandbox.ui + PLAIN);
    const devtools = await context.newCDPSession(page);
    await devtools.send("Network.setCacheDisabled", { cacheDisabled: true });
    running.push(await painted(page, path));
    await context.close();
  }
  return [median(started), median(running)];
}

const PLAIN = "/assets/htmx-LICENSE.txt";
const [plain] = await first(PLAIN);
report("plain text file in a new process of the browser: the time of the browser itself", ms(plain));
for (const [name, path] of Object.entries(views)) {
  const served = [];
  for (let count = 0; count < VIEWS; count += 1) {
    const start = performance.now();
    await (await fetch(sandbox.ui + path)).text();
    served.push(performance.now() - start);
  }
  const [started, running] = await first(path);
  report(`first view, ${name} (the server ${ms(median(served))}; in a new process ${ms(started)})`, ms(running), path.includes("?") ? "" : "200 ms");
}

/** Measures the time from the API response to the change of the document, with a pause between events. */
async function events(page, where, pause, find) {
  await live(page);
  const took = [];
  for (let count = 0; count < EVENTS; count += 1) {
    const text = `Event-${where}-${count}.`;
    await page.evaluate((text) => {
      window.seen = new Promise((resolve) => {
        new MutationObserver((_, observer) => {
          if (!document.getElementById("page").textContent.includes(text)) return;
          observer.disconnect();
          resolve(performance.timeOrigin + performance.now());
        }).observe(document.body, { childList: true, characterData: true, subtree: true });
      });
    }, text);
    await find(text);
    const responded = performance.timeOrigin + performance.now();
    took.push((await page.evaluate(() => window.seen)) - responded);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return took;
}

const chat = () => openPage(browser, `${sandbox.ui}/conversations/${contact(1)}`);
const list = () => openPage(browser, `${sandbox.ui}/requests`);
const ask = (text) => sandbox.api("GET", `/${text}`);
const write = (text) => say({ contactId: contact(1), message: text });
for (const [name, open, pause, happen] of [
  ["conversation open, a quarter of a second apart", chat, 250, write],
  ["… the next one as soon as one is seen", chat, 0, write],
  ["the list of requests open, a quarter of a second apart", list, 250, ask],
  ["… the next one as soon as one is seen", list, 0, ask],
]) {
  const page = await open();
  const took = await events(page, `${open.name}-${pause}`, pause, happen);
  await page.context().close();
  report(`an event on the screen, ${name}: median`, ms(median(took)), "100 ms");
  report("… 95 of 100", ms(quantile(took, 0.95)), "100 ms");
}

let busy = true;
let others = 0;
const started = performance.now();
const crowd = (async () => {
  const open = new Set();
  while (busy) {
    const due = Math.floor((performance.now() - started) / 5);
    while (others < due) {
      others += 1;
      const sending = say({ contactId: contact(others + 2), message: `Of others ${others}` }).finally(() => open.delete(sending));
      open.add(sending);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(open);
})();
const crowded = await events(await chat(), "crowded", 0, write);
const rate = others / ((performance.now() - started) / 1000);
busy = false;
await crowd;
report(`… at ${rate.toFixed(0)} messages a second: median`, ms(median(crowded)), "100 ms");
report("… 95 of 100", ms(quantile(crowded, 0.95)), "100 ms");

for (const context of browser.contexts()) await context.close();
if (MORE > 0) {
  const held = async () => {
    await delivered();
    return `${(await memory()).toFixed(0)} MB`;
  };
  const count = (messages) => messages.toLocaleString("en-US");
  report(`memory of the sandbox (RSS), some ${count(MESSAGES)} messages sent`, await held());
  for (const more of [MORE, Math.ceil(MORE / 2)]) {
    await send(more);
    report(`… after ${count(more)} more`, await held());
  }
}
console.log(`\nload at the end ${load()}`);
await browser.close();
await sandbox.stop();
await receiver.stop();
