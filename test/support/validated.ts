import { pathToFileURL } from "node:url";
import type { Contract } from "bowline";
import { bufGenerate, Workspace } from "../codegen/workspace.ts";

/** Where validate.proto is printed to. */
const PRINTED = { path: "node_modules/.cache/bowline/proto" };

/** Generates the code of a contract with constraints, as users do, and loads it. */
export async function validatedContract(name: string, proto: string): Promise<Contract> {
  const workspace = new Workspace(name);
  workspace.write({ [`proto/${name}/v1/${name}.proto`]: proto });
  const targets = [{ out: "gen", excludeTypes: ["buf.validate"] }];
  const outcome = bufGenerate(workspace, targets, [workspace.proto], [PRINTED, workspace.proto]);
  if (outcome.status !== 0) throw new Error(outcome.stderr);
  const loaded = await import(pathToFileURL(workspace.at(`gen/${name}/v1/${name}.contract.ts`)).href);
  const [contract] = Object.values(loaded as Record<string, Contract>);
  if (!contract) throw new Error(`${name} has no contract`);
  return contract;
}
