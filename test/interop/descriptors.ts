import { join } from "node:path";
import { ROOT } from "../support/run.ts";
import { runProgram } from "./programs.ts";

/** Compiles the suite's service for those who read descriptors at run time. */
export async function writeDescriptors(path: string): Promise<void> {
  const args = ["build", "proto", "--path", "proto/grpc", "--as-file-descriptor-set", "-o", path];
  await runProgram(join(ROOT, "node_modules/.bin/buf"), args, { cwd: import.meta.dirname });
}
