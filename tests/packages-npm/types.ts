import { startSandbox, type Sandbox } from "highlevel-sandbox";

// Compiled, not run.
export async function use(): Promise<string> {
  const sandbox: Sandbox = await startSandbox({ options: ["--strictness", "documented"] });
  const ids: string[] = (await sandbox.messages({ direction: "inbound" })).map((message) => message.id);
  // @ts-expect-error: there is no such option.
  await startSandbox({ option: [] });
  // @ts-expect-error: there is no such provider.
  sandbox.providerIds.fax;
  await sandbox.stop();
  return ids.concat(sandbox.providerIds["custom-sms"]).join();
}
