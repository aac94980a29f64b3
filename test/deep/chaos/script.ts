import type { FaultRule } from "bowline/testing";
import { seededRandom } from "bowline/testing";

/** Which way a script's client is made: by `createClient`, the same with TLS, or by nice-grpc with `clientMiddleware`. */
export type Way = "plain" | "tls" | "nice";

/** What one script of faults does to a stream, and what it is about. All of it follows from its seed. */
export interface ChaosScript {
  readonly seed: number;
  readonly way: Way;
  readonly rules: readonly FaultRule[];
  /** How many events before the newest the stream begins, and how many it reads. */
  readonly behind: number;
  readonly events: number;
  /** Whether the faults are ones after which the stream can go on; if not, the server itself ends it for good. */
  readonly recoverable: boolean;
}

type Draw = (below: number) => number;

/** Faults hit the first so many connections and calls; what comes later passes. */
const HIT = 6;
/** About what the longest of the streams takes on the wire, in bytes. */
const BYTES = 30_000;

const CODES = [
  "NO_ERROR",
  "INTERNAL_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "ENHANCE_YOUR_CALM",
  "PROTOCOL_ERROR",
] as const;
const RESUMED = ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "ABORTED", "CANCELLED"] as const;
const FINAL = ["PERMISSION_DENIED", "OUT_OF_RANGE", "UNIMPLEMENTED"] as const;

const WAYS: readonly Way[] = ["plain", "tls", "plain", "nice"];

/** The script of a seed. With TLS bytes may be corrupted, and calls, which cannot be seen, are left alone. */
export function chaosScript(seed: number): ChaosScript {
  const way = WAYS[seed % WAYS.length] as Way;
  const tls = way === "tls";
  const random = seededRandom(seed);
  const draw: Draw = (below) => Math.floor(random() * below);
  const kinds = tls ? [...OF_BYTES, corrupt] : [...OF_BYTES, ...OF_CALLS];
  const rules = Array.from({ length: 1 + draw(5) }, () => pick(kinds, draw)(draw));
  const recoverable = tls || draw(10) > 0;
  const last: FaultRule[] = recoverable ? [] : [final(draw)];
  return { seed, way, rules: [...last, ...rules], behind: draw(300), events: 50 + draw(300), recoverable };
}

const cut = (draw: Draw): FaultRule => ({ on: "connection", nth: some(draw), fault: "cut", ...position(draw) });
const halfOpen = (draw: Draw): FaultRule => ({
  on: "connection",
  nth: one(draw),
  fault: "half-open",
  ...position(draw),
});
const corrupt = (draw: Draw): FaultRule => ({ on: "connection", nth: some(draw), fault: "corrupt", ...position(draw) });
const silent = (draw: Draw): FaultRule => ({ on: "connection", nth: one(draw), fault: "silent" });
const late = (draw: Draw): FaultRule => ({ on: "connection", nth: some(draw), fault: "delay", delayMs: 1 + draw(40) });
const narrow = (draw: Draw): FaultRule => {
  return { on: "connection", nth: some(draw), fault: "throttle", bytesPerSecond: 20_000 + draw(200_000) };
};
const OF_BYTES = [cut, cut, cut, halfOpen, silent, late, narrow];

const reset = (draw: Draw): FaultRule => {
  return { on: "call", nth: some(draw), fault: "reset", code: pick(CODES, draw), afterMessages: draw(200) };
};
const refused = (draw: Draw): FaultRule => ({ on: "call", nth: some(draw), fault: "reset", code: pick(CODES, draw) });
const callCut = (draw: Draw): FaultRule => ({ on: "call", nth: some(draw), fault: "cut", afterMessages: draw(200) });
const callSilent = (draw: Draw): FaultRule => ({
  on: "call",
  nth: one(draw),
  fault: "silent",
  afterMessages: draw(200),
});
const goaway = (draw: Draw): FaultRule => ({ on: "call", nth: some(draw), fault: "goaway", code: pick(CODES, draw) });
const status = (draw: Draw): FaultRule => {
  const pushback = draw(3) === 0 ? { pushbackMs: draw(50) } : {};
  return { on: "call", nth: some(draw), fault: "status", code: pick(RESUMED, draw), ...pushback };
};
const OF_CALLS = [reset, reset, refused, callCut, callSilent, goaway, status];

const final = (draw: Draw): FaultRule => ({ on: "call", nth: one(draw), fault: "status", code: pick(FINAL, draw) });

/** One in eight positions is in what the client says, which is little. */
function position(draw: Draw) {
  return draw(8) === 0
    ? ({ towards: "server", afterBytes: draw(400) } as const)
    : ({ towards: "client", afterBytes: draw(BYTES) } as const);
}

function one(draw: Draw): number[] {
  return [1 + draw(HIT)];
}

function some(draw: Draw): number[] {
  const all = Array.from({ length: HIT }, (_, n) => n + 1).filter(() => draw(2) === 0);
  return all.length > 0 ? all : [1];
}

function pick<T>(from: readonly T[], draw: Draw): T {
  return from[draw(from.length)] as T;
}
