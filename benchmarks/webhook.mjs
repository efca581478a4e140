// The official JavaScript SDK, for the program `webhook`: it verifies one body repeatedly for the requested time.
//
// In: a line `MODE MILLISECONDS APP KEY SIGNATURE`, and a line with the body. Out: a line `COUNT SECONDS CPU_SECONDS`.
// MODE is `verify`, its function for signatures and JSON.parse, or `middleware`, its middleware for Express.

import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import sdk from '@gohighlevel/api-client/dist/lib/webhook/webhook-manager.js';

const require = createRequire(import.meta.url);
const logger = { debug() {}, info() {}, warn() {}, error() {} };

async function run(mode, milliseconds, app, key, signature, body) {
  const manager = new sdk.WebhookManager(logger, {}, {}, { clientId: app, publicKey: key });
  const middleware = manager.subscribe();
  const verify = async () => {
    const valid = manager.verifyEd25519Signature(body, signature, key);
    return valid && JSON.parse(body.toString('utf8')).webhookId.length > 0;
  };
  const through = async () => {
    const request = { method: 'POST', url: '/', headers: { 'x-ghl-signature': signature }, body };
    await middleware(request, {}, () => {});
    return request.isSignatureValid;
  };
  const once = mode === 'middleware' ? through : verify;
  const before = process.cpuUsage();
  const started = performance.now();
  let count = 0;
  let elapsed = 0;
  while (elapsed < milliseconds) {
    if (!(await once())) throw new Error('the signature was not accepted');
    count += 1;
    elapsed = performance.now() - started;
  }
  const cpu = process.cpuUsage(before);
  console.log(`${count} ${elapsed / 1e3} ${(cpu.user + cpu.system) / 1e6}`);
}

console.log(`${process.version} ${require('@gohighlevel/api-client/package.json').version}`);
let line;
for await (const text of createInterface({ input: process.stdin })) {
  if (line === undefined) {
    line = text;
  } else {
    const [mode, milliseconds, app, key, signature] = line.split(' ');
    await run(mode, Number(milliseconds), app, key, signature, Buffer.from(text));
    line = undefined;
  }
}
