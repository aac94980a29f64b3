import { execFile, spawnSync } from "node:child_process";

/** A program outside the project that a test drives. */
export interface Tool {
  readonly name: string;
  /** How a user gets it. */
  readonly install: string;
}

/**
 * Whether a program is there. Where it is not, the tests that need it are skipped, and a line says what to install;
 * where `BOWLINE_REQUIRE_TOOLS` is set, as CI does, its absence is an error instead.
 */
export function hasTool({ name, install }: Tool): boolean {
  if (spawnSync(name, ["--version"]).error === undefined) return true;
  const message = `${name} is not on the PATH: ${install}`;
  if (process.env.BOWLINE_REQUIRE_TOOLS) throw new Error(message);
  console.warn(`skipped: ${message}`);
  return false;
}

/** Runs a program to its end without blocking this process, which serves what it calls. */
export function runBeside(command: string, args: readonly string[], cwd?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: 30_000, ...(cwd && { cwd }) }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command} ${args.join(" ")}: ${stderr || stdout || error.message}`));
      else resolve(stdout);
    });
  });
}
