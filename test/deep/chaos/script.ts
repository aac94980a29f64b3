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

/** What a fault is drawn from. */
interface Draws {
  /** A whole number below this one. */
  readonly draw: (below: number) => number;
  /** How many events the stream reads. */
  readonly events: number;
  /** Whether it is the first of its script, and takes the first connection or call for certain. */
  readonly first: boolean;
}

type Draw = Draws["draw"];

/** Faults hit the first so many connections and calls; what comes later passes. */
const HIT = 6;
/** About what an event takes on the wire, in bytes. */
const EVENT_BYTES = 75;

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
  const [behind, events] = [draw(300), 50 + draw(300)];
  const kinds = tls ? [...OF_BYTES, corrupt] : [...OF_BYTES, ...OF_CALLS];
  const rules = Array.from({ length: 1 + draw(5) }, (_, n) => pick(kinds, draw)({ draw, events, first: n === 0 }));
  const recoverable = tls || draw(10) > 0;
  const last: FaultRule[] = recoverable ? [] : [final({ draw, events, first: false })];
  return { seed, way, rules: [...last, ...rules], behind, events, recoverable };
}

type Kind = (draws: Draws) => FaultRule;

const cut: Kind = (of) => ({ on: "connection", nth: some(of), fault: "cut", ...position(of) });
const halfOpen: Kind = (of) => ({ on: "connection", nth: one(of), fault: "half-open", ...position(of) });
const corrupt: Kind = (of) => ({ on: "connection", nth: some(of), fault: "corrupt", ...position(of) });
const silent: Kind = (of) => ({ on: "connection", nth: one(of), fault: "silent" });
const late: Kind = (of) => ({ on: "connection", nth: some(of), fault: "delay", delayMs: 1 + of.draw(40) });
const narrow: Kind = (of) => {
  return { on: "connection", nth: some(of), fault: "throttle", bytesPerSecond: 20_000 + of.draw(200_000) };
};
const OF_BYTES = [cut, cut, cut, halfOpen, silent, late, narrow];

const reset: Kind = (of) => {
  return { on: "call", nth: some(of), fault: "reset", code: pick(CODES, of.draw), afterMessages: place(of) };
};
const refused: Kind = (of) => ({ on: "call", nth: some(of), fault: "reset", code: pick(CODES, of.draw) });
const callCut: Kind = (of) => ({ on: "call", nth: some(of), fault: "cut", afterMessages: place(of) });
const callSilent: Kind = (of) => ({ on: "call", nth: one(of), fault: "silent", afterMessages: place(of) });
const goaway: Kind = (of) => ({ on: "call", nth: some(of), fault: "goaway", code: pick(CODES, of.draw) });
const status: Kind = (of) => {
  const pushback = of.draw(3) === 0 ? { pushbackMs: of.draw(50) } : {};
  return { on: "call", nth: some(of), fault: "status", code: pick(RESUMED, of.draw), ...pushback };
};
const OF_CALLS = [reset, reset, refused, callCut, callSilent, goaway, status];

const final: Kind = (of) => ({ on: "call", nth: one(of), fault: "status", code: pick(FINAL, of.draw) });

/** One in eight positions is in what the client says, which is little. */
function position(of: Draws) {
  return of.draw(8) === 0
    ? ({ towards: "server", afterBytes: of.draw(400) } as const)
    : ({ towards: "client", afterBytes: of.draw(early(of) * EVENT_BYTES) } as const);
}

/** After how many events. */
function place(of: Draws): number {
  return of.draw(early(of));
}

/** How many events come before the latest fault: so few that there are some left for the next one. */
function early({ events }: Draws): number {
  return events / 3;
}

function one({ draw, first }: Draws): number[] {
  return [first ? 1 : 1 + draw(HIT)];
}

function some({ draw, first }: Draws): number[] {
  const all = Array.from({ length: HIT }, (_, n) => n + 1).filter((n) => (first && n === 1) || draw(2) === 0);
  return all.length > 0 ? all : [1];
}

function pick<T>(from: readonly T[], draw: Draw): T {
  return from[draw(from.length)] as T;
}
