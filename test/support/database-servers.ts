import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import pg from "pg";
import { freePort } from "./free-port.ts";
import { hasTool } from "./tools.ts";

/** A database server of a test's own, on a free port of loopback, in a folder that goes with it. */
export interface DatabaseServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Where Debian keeps PostgreSQL's programs, which are not on the PATH. */
const DEBIAN = "/usr/lib/postgresql";

/** A program on the PATH, or else the newest of Debian's. */
function findProgram(name: string): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...(process.env.PATH ?? "").split(delimiter),
    ...versions.map((version) => join(DEBIAN, version, "bin")),
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? name;
}

/** Whether PostgreSQL is there; see `hasTool`. */
export function hasPostgres(): boolean {
  return hasTool({ name: findProgram("initdb"), install: "apt-get install postgresql" });
}

/** Whether Redis is there; see `hasTool`. */
export function hasRedis(): boolean {
  return hasTool({ name: "redis-server", install: "apt-get install redis-server" });
}

/** PostgreSQL does not run as root: then it runs as its own user, or as nobody. */
function unprivileged(folder: string): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const user = spawnSync("id", ["-u", "postgres"]).status === 0 ? "postgres" : "nobody";
  const [uid, gid] = ["-u", "-g"].map((which) => Number(execFileSync("id", [which, user])));
  if (uid === undefined || gid === undefined) throw new Error(`there is no user ${user}`);
  chownSync(folder, uid, gid);
  return { uid, gid };
}

/** Starts PostgreSQL with a database `postgres` and a user `bowline`, whom it trusts. */
export async function startPostgres(): Promise<DatabaseServer> {
  const folder = mkdtempSync(join(tmpdir(), "bowline-postgres-"));
  const options = { cwd: folder, ...unprivileged(folder) };
  const data = join(folder, "data");
  const init = ["-D", data, "-U", "bowline", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"];
  execFileSync(findProgram("initdb"), init, { ...options, stdio: ["ignore", "ignore", "inherit"] });
  const port = await freePort();
  const settings = ["fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories="];
  const args = ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
  const server = spawn(findProgram("postgres"), args, { ...options, stdio: "ignore" });
  return started(server, "SIGINT", folder, port, async () => {
    const client = new pg.Client(postgresAt(port));
    await client.connect();
    await client.end();
  });
}

/** How clients of `startPostgres` reach it. */
export function postgresAt(port: number) {
  return { host: "127.0.0.1", port, user: "bowline", database: "postgres" };
}

/** Starts Redis, which keeps nothing on disk. */
export async function startRedis(): Promise<DatabaseServer> {
  const folder = mkdtempSync(join(tmpdir(), "bowline-redis-"));
  const port = await freePort();
  const settings = { port: String(port), bind: "127.0.0.1", dir: folder, save: "", appendonly: "no" };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = spawn("redis-server", args, { stdio: "ignore" });
  return started(server, "SIGTERM", folder, port, async () => {
    const client = new Redis({ port, lazyConnect: true, retryStrategy: null });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.ping();
    } finally {
      client.disconnect();
    }
  });
}

/** Waits until a server answers. */
async function started(
  server: ChildProcess,
  ending: NodeJS.Signals,
  folder: string,
  port: number,
  ask: () => Promise<void>,
): Promise<DatabaseServer> {
  const exited = once(server, "exit");
  const stop = async () => {
    if (server.exitCode === null) server.kill(ending);
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const until = performance.now() + 15_000;
  for (;;) {
    try {
      await ask();
      return { port, stop };
    } catch (cause) {
      if (performance.now() > until || server.exitCode !== null) {
        await stop();
        throw new Error(`${server.spawnfile} did not start`, { cause });
      }
      await sleep(20);
    }
  }
}
