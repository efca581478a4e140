import { afterAll, beforeAll, expect, test } from "vitest";
import { startSandbox } from "highlevel-sandbox";

let sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.stop());

test("vitest starts a sandbox", async () => {
  const { id } = await sandbox.simulateInbound({ message: "Hello" });
  expect((await sandbox.messages()).map((each) => each.id)).toEqual([id]);
});
