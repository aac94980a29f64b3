import { readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { Contract } from "bowline";
import { bufGenerate, Workspace } from "../codegen/workspace.ts";

/** Where validate.proto is printed to. */
const PRINTED = { path: "node_modules/.cache/bowline/proto" };

/**
 * Generates the code of contracts with constraints, as users do, and loads them.
 *
 * @param files the .proto files, by their paths.
 * @returns the contracts, by the names of their services.
 */
export async function validatedContracts(name: string, files: Readonly<Record<string, string>>) {
  const workspace = new Workspace(name);
  workspace.write(Object.fromEntries(Object.entries(files).map(([path, text]) => [`proto/${path}`, text])));
  const targets = [{ out: "gen", excludeTypes: ["buf.validate"] }];
  const outcome = bufGenerate(workspace, targets, [workspace.proto], [PRINTED, workspace.proto]);
  if (outcome.status !== 0) throw new Error(outcome.stderr);
  const printed = readdirSync(workspace.at("gen"), { recursive: true, encoding: "utf8" });
  const loaded = await Promise.all(
    printed
      .filter((path) => path.endsWith(".contract.ts"))
      .map((path): Promise<Record<string, Contract>> => import(pathToFileURL(workspace.at(`gen/${path}`)).href)),
  );
  const contracts = Object.assign({}, ...loaded) as Record<string, Contract>;
  return (service: string): Contract => {
    const found = contracts[service];
    if (!found) throw new Error(`no contract of ${service}`);
    return found;
  };
}
