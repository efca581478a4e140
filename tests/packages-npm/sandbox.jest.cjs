const { startSandbox } = require("highlevel-sandbox");

let sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.stop());

test("jest starts a sandbox", async () => {
  const { id } = await sandbox.simulateInbound({ message: "Hello" });
  expect((await sandbox.messages()).map((each) => each.id)).toEqual([id]);
});
