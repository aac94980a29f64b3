import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";

/** The repository. */
export const ROOT: string = join(import.meta.dirname, "../..");

/** What a program said and ended with. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where and how a program runs. */
export interface RunOptions {
  /** Default: the repository. */
  readonly cwd?: string;
  /** Folders to look for programs in, before the repository's development dependencies. Default: none. */
  readonly path?: readonly string[];
  /** Added to the environment. Default: nothing. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What npm and vitest tell the programs that they start, and would mislead those in another folder. */
const OURS = /^(npm_(package|lifecycle|command)|npm_config_(local_)?prefix|INIT_CWD|VITEST|NODE_OPTIONS)/;

/** Runs a program to its end, as from a shell: nothing of the npm or vitest that runs the tests reaches it. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Outcome {
  const { cwd = ROOT, path = [] } = options;
  const inherited = Object.entries(process.env).filter(([name]) => !OURS.test(name));
  const PATH = [...path, join(ROOT, "node_modules/.bin"), process.env.PATH].join(delimiter);
  const env = { ...Object.fromEntries(inherited), PATH, ...options.env };
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** Runs a program that must succeed. */
export function mustRun(command: string, args: readonly string[], options?: RunOptions): Outcome {
  const outcome = run(command, args, options);
  const { status, stdout, stderr } = outcome;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}\n${stderr}${stdout}`);
  return outcome;
}
