import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runBeside } from "../support/tools.ts";

const root = new URL("../..", import.meta.url).pathname;
const orders = "shop/orders/v1/orders.proto";

/** A copy of the contracts, inside the workspace so that buf finds its modules. */
async function copyOfContracts(): Promise<string> {
  const folder = await mkdtemp(join(root, "node_modules", ".contracts-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await cp(join(root, "proto"), join(folder, "proto"), { recursive: true });
  await cp(join(root, "node_modules/.cache/bowline/proto"), join(folder, "printed"), { recursive: true });
  const modules = "modules: [{path: proto}, {path: printed}]";
  await writeFile(join(folder, "buf.yaml"), `version: v2\n${modules}\nbreaking: {use: [FILE]}\n`);
  return folder;
}

async function edit(folder: string, from: string, to: string): Promise<void> {
  const path = join(folder, "proto", orders);
  const text = await readFile(path, "utf8");
  expect(text).toContain(from);
  await writeFile(path, text.replace(from, to));
}

const breaking = (folder: string) =>
  runBeside("buf", ["breaking", "proto", "--against", join(root, "contract.binpb")], folder);

test("the contracts break nothing that was accepted", async () => {
  await expect(breaking(await copyOfContracts())).resolves.toBe("");
});

test("a renamed field is refused", async () => {
  const folder = await copyOfContracts();
  await edit(folder, "string customer_id = 2;", "string buyer_id = 2;");
  await expect(breaking(folder)).rejects.toThrow(
    /orders.proto:\d+:\d+:Field "2" .* changed name from "customer_id" to "buyer_id"/,
  );
});

test("a field that is added breaks nothing", async () => {
  const folder = await copyOfContracts();
  await edit(folder, "string customer_id = 2;", "string customer_id = 2;\n  string note = 99;");
  await expect(breaking(folder)).resolves.toBe("");
});
