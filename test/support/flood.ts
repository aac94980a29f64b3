import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { onTestFinished } from "vitest";
import type { FloodState } from "./flood-server.ts";

/** What a server may hold for a stream besides what waits to be sent: a slab of Node's buffer pool, and the call. */
export const OPEN_STREAM_BYTES: number = Math.max(Buffer.poolSize, 64 * 1024) + 32 * 1024;

/** What a test lets loose. */
export interface FloodSetting {
  /** What is called. Default: `listOrders`, which makes messages as fast as they are read. */
  readonly method?: "listOrders" | "watchOrders";
  readonly streams: number;
  /** The length of the text that each message carries. */
  readonly textBytes: number;
  /** How much a client takes of a stream that it does not read. Default: what clients take by default. */
  readonly window?: number;
}

/** What a server looked like while its readers had stopped. */
export interface Flood {
  readonly stopped: FloodState;
  /** Once more, a moment later. */
  readonly later: FloodState;
  /** What the server held for each stream, in bytes: so much less it holds since the readers are gone. */
  readonly bytesPerStream: number;
  /** How much more it holds after the readers are gone than before they came, in bytes. */
  readonly keptBytes: number;
}

/**
 * Opens streams to a server in another process, reads a message of each, waits until its handlers make no more, and
 * kills the readers. Handlers that are never suspended, and those that do not end, keep the test waiting until its own
 * time is up.
 */
export async function flood(setting: FloodSetting): Promise<Flood> {
  const { method = "listOrders", streams, textBytes, window = 1024 * 1024 } = setting;
  const server = spawn("./flood-server.ts", textBytes);
  const readers = spawn("./stopped-readers.ts", method, streams, textBytes, window);
  const [port] = await once(server, "message");
  const before = await ask(server);
  readers.send(port);
  await once(readers, "message");
  const stopped = await untilStill(server);
  await setTimeout(100);
  const later = await ask(server);
  readers.kill("SIGKILL");
  const after = await untilIdle(server);
  const bytesPerStream = (later.bytes - after.bytes) / streams;
  return { stopped, later, bytesPerStream, keptBytes: after.bytes - before.bytes };
}

function spawn(file: string, ...args: (string | number)[]): ChildProcess {
  // Collecting garbage would drop code that was not run for a while, by the megabyte.
  const execArgv = [...process.execArgv, "--expose-gc", "--no-flush-bytecode"];
  const child = fork(new URL(file, import.meta.url), args.map(String), { execArgv });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function ask(server: ChildProcess): Promise<FloodState> {
  server.send("state");
  const [state] = await once(server, "message");
  return state;
}

async function untilStill(server: ChildProcess): Promise<FloodState> {
  for (let last = await ask(server); ; ) {
    await setTimeout(200);
    const now = await ask(server);
    if (now.yielded === last.yielded) return now;
    last = now;
  }
}

async function untilIdle(server: ChildProcess): Promise<FloodState> {
  for (;;) {
    const now = await ask(server);
    if (now.running === 0) return ask(server);
    await setTimeout(20);
  }
}
