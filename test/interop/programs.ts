import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { ROOT } from "../support/run.ts";

/** Where programs of other implementations are kept once they are installed; `npm ci` empties it. */
const CACHE = join(ROOT, "node_modules/.cache/bowline-interop");

/** How a program is run. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: 60,000. */
  readonly timeoutMs?: number;
}

/**
 * Runs a program to its end without blocking this process, which serves what it calls.
 *
 * @returns what it wrote.
 * @throws Error with what it wrote, if it does not end well or in time.
 */
export function runProgram(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { cwd = ROOT, env = {}, timeoutMs = 60_000 } = options;
  const settings = { cwd, env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 2 ** 24 };
  return new Promise((resolve, reject) => {
    execFile(command, args, settings, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command} ${args.join(" ")}: ${error.message}\n${stderr}${stdout}`));
      else resolve(stdout + stderr);
    });
  });
}

/**
 * Installs something into a folder of its own, once, and says how long it took.
 *
 * @param name what is installed, for the folder and the message.
 * @param sources files and folders of this one that it is made from: once they change, it is installed anew.
 * @returns the folder.
 */
export async function installOnce(
  name: string,
  sources: readonly string[],
  install: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(CACHE, `${name}-${fingerprint(sources)}`);
  const done = join(folder, ".installed");
  if (existsSync(done)) return folder;
  mkdirSync(folder, { recursive: true });
  const begin = performance.now();
  await install(folder);
  writeFileSync(done, "");
  console.log(`installed ${name} in ${Math.round((performance.now() - begin) / 1_000)} s`);
  return folder;
}

function fingerprint(sources: readonly string[]): string {
  const hash = createHash("sha256");
  for (const source of sources) {
    const path = join(import.meta.dirname, source);
    const names = statSync(path).isDirectory() ? readdirSync(path).toSorted() : [""];
    for (const name of names) hash.update(name).update(readFileSync(join(path, name)));
  }
  return hash.digest("hex").slice(0, 12);
}

/** A server of another implementation. */
export interface ServerProcess {
  stop(): Promise<void>;
}

/** Starts a server and waits until it takes connections on its port. */
export async function startServer(
  command: string,
  args: readonly string[],
  port: number,
  options: RunOptions = {},
): Promise<ServerProcess> {
  const { cwd = ROOT, env = {}, timeoutMs = 30_000 } = options;
  const server = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "pipe"] });
  let complaints = "";
  server.stderr.on("data", (chunk) => {
    complaints += chunk;
  });
  const stop = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill("SIGKILL");
    await once(server, "exit");
  };
  const giveUpAt = performance.now() + timeoutMs;
  while (!(await accepts(port))) {
    if (server.exitCode !== null) throw new Error(`${command} ended with ${server.exitCode}: ${complaints}`);
    if (performance.now() < giveUpAt) continue;
    await stop();
    throw new Error(`${command} did not listen on port ${port} within ${timeoutMs} ms: ${complaints}`);
  }
  return { stop };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const connected = await once(socket, "connect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  if (!connected) await new Promise((resolve) => setTimeout(resolve, 20));
  return connected;
}
