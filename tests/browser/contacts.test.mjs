// The Contacts tab, compared with the admin API.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { check, isAt, live, openPage, startBrowser } from "./support/browser.mjs";
import { startSandbox } from "./support/sandbox.mjs";
import { until } from "./support/story.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

/** Starts a separate sandbox and opens a page of it. */
async function open(t, path, { prepare = async () => {}, ...options } = {}) {
  const sandbox = await startSandbox();
  t.after(() => sandbox.stop());
  await prepare(sandbox);
  const tolerates = (text) => text.includes("422");
  const page = await openPage(browser, sandbox.ui + path, { tolerates, ...options });
  t.after(() => page.context().close());
  return { sandbox, page };
}

const rows = (page) => page.locator("#rows .row");
const field = (page, name) => page.locator(`#edit-contact [name=${name}]`);
const withName = async (sandbox, name) => (await sandbox.admin("GET", "contacts")).contacts.find((contact) => contact.name === name);

test("the list shows each contact, and is updated live", async (t) => {
  const { sandbox, page } = await open(t, "/contacts");
  await live(page);
  const silent = (await sandbox.admin("GET", "contacts")).contacts.length;
  await rows(page).nth(silent - 1).waitFor();
  await sandbox.admin("PUT", "contacts/barbara", {
    name: "Barbara", phone: "+15035550177", email: "b@example.com", additionalEmails: ["b@work.example"], tags: ["vip", "beta", "late", "more"],
    doNotDisturb: ["SMS", "All"], unsubscribed: true, dateAdded: "2999-01-31T09:30:00.000Z",
  });
  const first = rows(page).first();
  await first.getByText("Barbara").waitFor();
  const text = (await first.innerText()).replaceAll(/\s+/g, " ");
  for (const part of ["B Barbara", "2999-01-31", "+15035550177 · b@example.com · b@work.example", "DND: All, SMS", "unsubscribed", "vip beta late +1"]) {
    assert.ok(text.includes(part), `${part}: ${text}`);
  }
  // One by one, each criterion finds it alone.
  for (const term of ["barbara", "5550177", "b@WORK", "vip"]) {
    await page.getByRole("searchbox", { name: "Text" }).fill(term);
    await page.waitForURL((url) => url.searchParams.get("text") === term);
    await until(async () => (await rows(page).count()) === 1);
    assert.equal(await rows(page).locator(".row-title").innerText(), "Barbara", term);
  }
  await page.getByRole("searchbox", { name: "Text" }).fill("nothing has this");
  await page.getByText("No contacts match this search.").waitFor();
  await page.getByRole("link", { name: "Clear search" }).click();
  await until(async () => (await rows(page).count()) === silent + 1);
  check(page);
});

test("a contact is created, edited and deleted by keyboard", async (t) => {
  const { sandbox, page } = await open(t, "/contacts");
  await live(page);
  await page.getByRole("link", { name: "New contact" }).press("Enter");
  await isAt(page, "**/new-contact");
  await field(page, "name").focus();
  await page.keyboard.type("Barbara Liskov");
  for (const text of ["call me", "nowhere"]) {
    await page.keyboard.press("Tab");
    await page.keyboard.type(text);
  }
  await page.keyboard.press("Enter");
  // Each error is at its field, the first has the focus, and what was typed is still there.
  await page.getByText('"call me" is not a phone number; enter one like +15037081210', { exact: true }).waitFor();
  await page.getByText('"nowhere" is not an email address', { exact: true }).waitFor();
  await until(() => page.evaluate(() => document.activeElement.name === "phone"));
  assert.equal(await field(page, "name").inputValue(), "Barbara Liskov");
  assert.equal(await field(page, "phone").getAttribute("aria-describedby"), await page.locator(".field-error").first().getAttribute("id"));
  assert.equal(await withName(sandbox, "Barbara Liskov"), undefined);
  await isAt(page, "**/new-contact");

  await field(page, "phone").fill("503 555 0177");
  await field(page, "email").fill("Barbara@Example.com");
  await field(page, "tags").fill("vip\nbeta");
  await page.getByRole("checkbox", { name: "WhatsApp" }).press("Space");
  await page.getByRole("button", { name: "Create contact" }).press("Enter");
  await page.locator("h2", { hasText: "Barbara Liskov" }).waitFor();
  const created = await withName(sandbox, "Barbara Liskov");
  await isAt(page, `**/contacts/${created.id}`);
  assert.deepEqual([created.phone, created.email, created.tags, created.doNotDisturb], ["+15035550177", "barbara@example.com", ["vip", "beta"], ["WhatsApp"]]);

  await page.keyboard.press("e");
  await isAt(page, `**/contacts/${created.id}/edit`);
  await field(page, "name").fill("Barbara");
  await field(page, "phone").fill("");
  await page.getByRole("checkbox", { name: "WhatsApp" }).uncheck();
  await page.keyboard.press("Control+Enter");
  await page.locator("h2", { hasText: /^Barbara$/ }).waitFor();
  const changed = await sandbox.admin("GET", `contacts/${created.id}`);
  assert.deepEqual([changed.name, changed.phone, changed.email, changed.doNotDisturb], ["Barbara", undefined, "barbara@example.com", undefined]);

  await page.getByLabel("New note").fill("Asked for\na quiet table");
  await page.getByRole("button", { name: "Add note" }).click();
  await page.locator(".notes", { hasText: "a quiet table" }).waitFor();
  assert.equal((await sandbox.admin("GET", `contacts/${created.id}`)).notes[0].body, "Asked for\na quiet table");
  assert.equal(await page.getByLabel("New note").inputValue(), "");

  await page.locator("summary", { hasText: "Delete this contact" }).press("Enter");
  await page.getByRole("button", { name: "Delete contact" }).press("Enter");
  await isAt(page, "**/contacts");
  await page.locator(".detail h2", { hasText: "Connect your program" }).waitFor();
  assert.equal(await withName(sandbox, "Barbara"), undefined);
  check(page);
});

test("an address of another contact is rejected with a link to it", async (t) => {
  const { sandbox, page } = await open(t, "/new-contact");
  const { id, name, phone } = (await sandbox.admin("GET", "contacts")).contacts.find((contact) => contact.phone);
  await field(page, "phone").fill(phone);
  await page.getByRole("button", { name: "Create contact" }).click();
  const error = page.locator(".field-error", { hasText: "another contact of this location has this phone number" });
  await error.getByRole("link", { name }).click();
  await isAt(page, `**/contacts/${id}`);
  await page.locator("h2", { hasText: name }).waitFor();
  check(page);
});

test("events do not change a form", async (t) => {
  const { sandbox, page } = await open(t, "/contacts");
  await live(page);
  await page.getByRole("link", { name: "New contact" }).click();
  await field(page, "phone").fill("x");
  await page.getByRole("button", { name: "Create contact" }).click();
  await page.getByText('"x" is not a phone number').first().waitFor();
  await field(page, "name").fill("Half a na");
  const other = await openPage(browser, `${sandbox.ui}/contacts`);
  t.after(() => other.context().close());
  await live(other);
  await sandbox.admin("PUT", "contacts/another", { name: "Another" });
  await rows(other).getByText("Another").waitFor(); // The event was sent.
  assert.equal(await field(page, "name").inputValue(), "Half a na");
  assert.equal(await page.locator(".field-error").count(), 1);
  check(page);
});

test("conversations and messages lead to their contact, and the contact to them", async (t) => {
  const { sandbox, page } = await open(t, "", { prepare: (sandbox) => sandbox.send({ message: "Hello Ada" }) });
  await rows(page).first().click();
  await page.locator(".thread .message summary").first().click();
  await page.locator(".thread .message").getByRole("link", { name: "Contact" }).click();
  await isAt(page, `**/contacts/${sandbox.facts.contactId}`);
  await page.getByText("Hello Ada").first().waitFor();
  await page.getByRole("link", { name: "Conversation", exact: true }).click();
  await isAt(page, `**/conversations/${sandbox.facts.contactId}`);
  await page.locator(".detail-head h2 a").click();
  await isAt(page, `**/contacts/${sandbox.facts.contactId}`);
  check(page);
});

test("contacts are created, edited and deleted without scripts", async (t) => {
  const { sandbox, page } = await open(t, "/contacts", { javaScriptEnabled: false });
  await page.getByRole("link", { name: "New contact" }).click();
  await field(page, "name").fill("Barbara");
  await field(page, "email").fill("barbara");
  await page.getByRole("button", { name: "Create contact" }).click();
  await page.getByText('"barbara" is not an email address', { exact: true }).waitFor();
  await field(page, "email").fill("barbara@example.com");
  await page.getByRole("button", { name: "Create contact" }).click();
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByRole("checkbox", { name: "Email", exact: true }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("h2", { hasText: "Barbara" }).waitFor();
  assert.deepEqual((await withName(sandbox, "Barbara")).doNotDisturb, ["Email"]);
  await page.locator("summary", { hasText: "Delete this contact" }).click();
  await page.getByRole("button", { name: "Delete contact" }).click();
  await page.locator(".detail h2", { hasText: "Connect your program" }).waitFor();
  assert.equal(await withName(sandbox, "Barbara"), undefined);
  check(page);
});
