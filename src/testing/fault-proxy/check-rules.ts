import { checkOptions, isCount, isDelay, isPositive, type OptionCheck } from "../../core/check-options.ts";
import { forbiddenKey } from "../../core/metadata-keys.ts";
import { Status } from "../../core/status.ts";
import { show } from "../show.ts";
import { type CallFault, type ConnectionFault, type FaultRule, HTTP2_CODES } from "./rules.ts";

/** Where the server is. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** HTTP/2 has 31 bits for a stream's number. */
const LAST_STREAM = 2 ** 31 - 1;

const oneOf =
  (...values: readonly unknown[]): OptionCheck =>
  (value) =>
    values.includes(value) ? undefined : `must be ${values.map(show).join(" or ")}; it is ${show(value)}`;

const isAmount: OptionCheck = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? undefined
    : `must be a whole number of at least 0; it is ${show(value)}`;

const isRatio: OptionCheck = (value) =>
  typeof value === "number" && value >= 0 && value <= 1
    ? undefined
    : `must be a number from 0 to 1; it is ${show(value)}`;

const arePositions: OptionCheck = (value) =>
  Array.isArray(value) && value.length > 0 && value.every((entry) => isCount(entry) === undefined)
    ? undefined
    : `must be a list of whole numbers from 1 on; it is ${show(value)}`;

const isHttp2Code: OptionCheck = (value) =>
  typeof value === "string" && Object.hasOwn(HTTP2_CODES, value)
    ? undefined
    : `must be one of HTTP/2's codes, such as "REFUSED_STREAM"; it is ${show(value)}`;

const isStatus: OptionCheck = (value) =>
  typeof value === "string" && Object.hasOwn(Status, value)
    ? undefined
    : `must be a status's name, such as "UNAVAILABLE"; it is ${show(value)}`;

const isText: OptionCheck = (value) => (typeof value === "string" ? undefined : `must be a text; it is ${show(value)}`);

const isMethod: OptionCheck = (value) =>
  typeof value === "string" && /^(\/[^/]+\/)?[^/\s]+$/.test(value)
    ? undefined
    : `must be like GetOrder or /package.Service/GetOrder; it is ${show(value)}`;

const isPushback: OptionCheck = (value) =>
  Number.isSafeInteger(value) ? undefined : `must be whole milliseconds; it is ${show(value)}`;

const isLastStream: OptionCheck = (value) =>
  value === "this" || value === "previous" || isClientStream(value)
    ? undefined
    : `must be "this", "previous" or a client's stream, which has an odd number; it is ${show(value)}`;

function isClientStream(value: unknown): boolean {
  return isCount(value) === undefined && (value as number) % 2 === 1 && (value as number) <= LAST_STREAM;
}

const isTrailer: OptionCheck = (value) => {
  if (typeof value !== "object" || value === null) return `must be an object; it is ${show(value)}`;
  const problems = Object.entries(value).flatMap(([key, values]) => {
    const [problem] = [keyProblem(key), ...[values].flat().map((one) => valueProblem(key, one))].filter(Boolean);
    return problem ? [`${JSON.stringify(key)}: ${problem}`] : [];
  });
  return problems.length > 0 ? `cannot be sent: ${problems.join(", ")}` : undefined;
};

function keyProblem(key: string): string | undefined {
  return /^[a-z0-9_.-]+$/.test(key) ? forbiddenKey(key) : "a key has digits, small letters, _, - and . alone";
}

function valueProblem(key: string, value: unknown): string | undefined {
  if (key.endsWith("-bin")) return value instanceof Uint8Array ? undefined : "a key that ends in -bin takes bytes";
  return typeof value === "string" && /^[ -~]*$/.test(value)
    ? undefined
    : "it takes printable ASCII; bytes go under a key that ends in -bin";
}

type Checks = Readonly<Record<string, OptionCheck>>;

const WHICH: Checks = { every: isCount, first: isCount, nth: arePositions, ratio: isRatio };
const TOWARDS: Checks = { towards: oneOf("client", "server") };
const AFTER_BYTES: Checks = { afterBytes: isAmount, ...TOWARDS };
const AFTER_MESSAGES: Checks = { afterMessages: isAmount };

const CONNECTION: Readonly<Record<ConnectionFault["fault"], Checks>> = {
  cut: AFTER_BYTES,
  "half-open": AFTER_BYTES,
  corrupt: AFTER_BYTES,
  silent: {},
  delay: { delayMs: isDelay, ...TOWARDS },
  throttle: { bytesPerSecond: isPositive, ...TOWARDS },
};

const CALL: Readonly<Record<CallFault["fault"], Checks>> = {
  reset: { code: isHttp2Code, ...AFTER_MESSAGES },
  cut: AFTER_MESSAGES,
  silent: AFTER_MESSAGES,
  goaway: { code: isHttp2Code, lastStream: isLastStream },
  status: { code: isStatus, details: isText, pushbackMs: isPushback, trailer: isTrailer },
  drop: { clientSees: oneOf("reset", "cut", "silent"), code: isHttp2Code },
  delay: { delayMs: isDelay },
};

const FAULTS = { connection: CONNECTION, call: CALL } as const;

/** What a fault cannot do without. */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  delay: ["delayMs"],
  throttle: ["bytesPerSecond"],
  status: ["code"],
};

/**
 * Looks at everything that a proxy is told.
 *
 * @returns where the server is.
 * @throws TypeError that lists every problem with its place.
 */
export function checkProxy(target: string, options: unknown, rules: readonly FaultRule[]): Address {
  const address = parseTarget(target);
  const problems = [
    ...(address ? [] : [`the target must be host:port, such as 127.0.0.1:50051; it is ${show(target)}`]),
    ...checkOptions(options, { seed: isSeed }),
    ...rules.flatMap(ruleProblems),
  ];
  if (problems.length > 0 || !address) throw new TypeError(`faultProxy: ${problems.join("; ")}`);
  return address;
}

const isSeed: OptionCheck = (value) =>
  value === (value as number) >>> 0 ? undefined : `must be a whole number below 2^32; it is ${show(value)}`;

function parseTarget(target: unknown): Address | undefined {
  const match = typeof target === "string" ? /^(?:dns:\/\/\/)?(\[[^\]]+\]|[^:/[\]\s]+):(\d{1,5})$/.exec(target) : null;
  const [host = "", port = Number.NaN] = [match?.[1]?.replace(/^\[|\]$/g, ""), Number(match?.[2])];
  return host !== "" && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

function ruleProblems(rule: unknown, index: number): string[] {
  const place = `rules[${index}]`;
  if (typeof rule !== "object" || rule === null) return [`${place} must be an object; it is ${show(rule)}`];
  const { on, fault } = rule as { on?: unknown; fault?: unknown };
  if (on !== "connection" && on !== "call") return [`${place}.on ${oneOf("connection", "call")(on)}`];
  const faults: Readonly<Record<string, Checks>> = FAULTS[on];
  const checks = typeof fault === "string" && Object.hasOwn(faults, fault) ? faults[fault] : undefined;
  if (!checks) return [`${place}.fault ${oneOf(...Object.keys(faults))(fault)}`];
  const known = { on: isText, fault: isText, ...(on === "call" ? { method: isMethod } : {}), ...WHICH, ...checks };
  const missing = (REQUIRED[String(fault)] ?? []).filter((name) => Reflect.get(rule, name) === undefined);
  return [
    ...checkOptions(rule, known, `${place}.`),
    ...missing.map((name) => `${place} takes ${name}`),
    ...contradictions(rule, place),
  ];
}

/** What does not go together. */
function contradictions(rule: object, place: string): string[] {
  const has = (name: string) => Reflect.get(rule, name) !== undefined;
  const chosen = Object.keys(WHICH).filter(has);
  const clientSees: unknown = Reflect.get(rule, "clientSees") ?? "reset";
  return [
    ...(chosen.length > 1
      ? [`${place} takes one of ${Object.keys(WHICH).join(", ")}; it has ${chosen.join(", ")}`]
      : []),
    ...(clientSees !== "reset" && has("code") ? [`${place}.code goes with clientSees "reset"`] : []),
  ];
}
