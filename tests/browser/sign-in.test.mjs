// Sign-in with an admin token.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { check, live, openPage, startBrowser } from "./support/browser.mjs";
import { startSandbox } from "./support/sandbox.mjs";

let browser, sandbox;
before(async () => {
  browser = await startBrowser();
  sandbox = await startSandbox("--admin-token", "a;b=c\"d");
});
after(async () => {
  await browser?.close();
  await sandbox?.stop();
});

/** The browser logs every 401 as an error. */
const tolerates = (text) => text.includes("401");

for (const [javaScriptEnabled, speed] of [[true, "Paused"], [false, "1×"]]) {
  test(`signing in leads to the requested page, scripts ${javaScriptEnabled ? "on" : "off"}`, async () => {
    const wanted = `${sandbox.ui}/requests?text=conversations`;
    const page = await openPage(browser, wanted, { javaScriptEnabled, tolerates });
    assert.match(await page.title(), /^Sign in/);
    const font = await page.locator("button", { hasText: "Sign in" }).evaluate((button) => getComputedStyle(button).borderRadius);
    assert.notEqual(font, "0px", "the page has its style");
    assert.equal(await page.getByText(sandbox.facts.contactId).count(), 0);
    await page.getByLabel("Admin token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("Incorrect admin token.").waitFor();
    await page.getByLabel("Admin token").fill(" a;b=c\"d ");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(wanted);
    await page.locator("#rows, .empty").first().waitFor();
    if (javaScriptEnabled) await live(page);
    // Forms of the same origin are accepted with the cookie.
    await page.getByRole("link", { name: "Simulation" }).click();
    await page.getByRole("button", { name: speed, exact: true, pressed: false }).click();
    await page.getByRole("button", { name: speed, exact: true, pressed: true }).waitFor();
    assert.equal(await page.getByRole("alert").getByText("Error:").count(), 0);
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/_sandbox/ui"]);
    const admin = await page.request.get(`${sandbox.facts.adminUrl}clock`);
    assert.equal(admin.status(), 401, "the cookie is for the page");
    check(page);
    await page.context().close();
  });
}

test("pages of other origins cannot use the cookie of a signed-in user", async () => {
  const headers = { authorization: "Bearer a;b=c\"d" };
  const speed = async () => (await (await fetch(`${sandbox.facts.adminUrl}clock`, { headers })).json()).speed;
  const before = await speed();
  const page = await openPage(browser, sandbox.ui, { tolerates: () => true });
  await page.getByLabel("Admin token").fill("a;b=c\"d");
  await page.getByRole("button", { name: "Sign in" }).click();
  await live(page);
  // Other ports of this machine belong to the same site; only the origin differs.
  const other = await startSandbox();
  const evil = await page.context().newPage();
  await evil.goto(`${other.facts.baseUrl}/_sandbox/health`);
  const status = await evil.evaluate(async (url) => {
    const told = (promise) => promise.then(() => "read", () => "refused");
    const post = await told(fetch(`${url}/controls/clock`, { method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams({ speed: "7" }) }));
    const read = await told(fetch(url, { credentials: "include" }));
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: `${url}/controls/clock` });
    form.innerHTML = "<input name=speed value=7>";
    document.body.append(form);
    form.submit();
    return [post, read];
  }, sandbox.ui);
  assert.deepEqual(status, ["refused", "refused"]);
  await evil.waitForURL(/controls\/clock/);
  await evil.getByText("rejects requests of other sites").waitFor();
  assert.equal(await speed(), before);
  // Framing is blocked as well.
  await evil.goto(`${other.facts.baseUrl}/_sandbox/health`);
  await evil.evaluate((url) => {
    const frame = document.createElement("iframe");
    frame.src = url;
    document.body.append(frame);
    return new Promise((resolve) => (frame.onload = resolve));
  }, sandbox.ui);
  assert.equal(await evil.frames()[1].locator("#page").count(), 0);
  await other.stop();
  await page.context().close();
});
