import type { Method } from "../core/method.ts";
import type { BatchPolicy, MethodPolicy } from "./policy.ts";
import { count, notNegative, type Problem } from "./value-checks.ts";

/** A method of a service, as the others of the service see it. */
export interface Peer extends Pick<Method, "kind" | "idempotency"> {
  /** Its name in the contract, such as `BatchGetOrders`. */
  readonly name: string;
  readonly policy: MethodPolicy;
}

/** All that is wrong with how a method's calls are gathered, but for where they go. */
export function checkBatch({ batch, ...others }: MethodPolicy, { kind }: Pick<Method, "kind">): Problem[] {
  if (!batch) return [];
  return [
    ...count(["batch", "maxSize"], batch.maxSize, 2),
    ...notNegative(["batch", "maxWaitMs"], batch.maxWaitMs),
    ...(kind === "unary" ? [] : [notUnary(kind)]),
    ...checkAttempts(batch, others),
  ];
}

function notUnary(kind: Method["kind"]): Problem {
  return { path: ["batch"], message: `batch on a ${kind} method: only single requests can be gathered into one` };
}

/** What is said of attempts has none to be applied to: the pipeline ends where a call becomes a part of another one. */
function checkAttempts(batch: BatchPolicy, policy: MethodPolicy): Problem[] {
  const where = batch.method || "the method that takes many";
  const inert = (["retry", "hedge", "breaker", "bulkhead"] as const).filter((key) => policy[key] !== undefined);
  const problems = inert.map((key) => {
    const message = `${key} and batch exclude each other: a call in a batch makes no attempt of its own; say it of ${where}`;
    return { path: [key], message };
  });
  if (!policy.idempotencyKey) return problems;
  const message = `idempotency_key and batch exclude each other: calls in one batch cannot each send a key; say it of ${where}`;
  return [...problems, { path: ["idempotencyKey"], message }];
}

/**
 * All that is wrong with where a method's calls are gathered into.
 *
 * @param peers the methods of its service, itself included
 */
export function checkBatchTarget({ name, policy, idempotency }: Peer, peers: readonly Peer[]): Problem[] {
  if (!policy.batch) return [];
  const known = peers.map((peer) => peer.name).join(", ");
  if (!policy.batch.method) {
    return [
      { path: ["batch"], message: `batch.method is missing: name the method that takes many; there are ${known}` },
    ];
  }
  const target = peers.find((peer) => peer.name === policy.batch?.method);
  const reasons = target
    ? [...unfitTarget(name, target), ...unsafeTarget(idempotency, target)]
    : [`the service has no method ${policy.batch.method}; it has ${known}`];
  return reasons.map((message) => ({ path: ["batch", "method"], message }));
}

function unfitTarget(name: string, target: Peer): string[] {
  if (target.name === name) return [`${name} is the method itself: name the one that takes many`];
  return [
    ...(target.kind === "unary"
      ? []
      : [`${target.name} is a ${target.kind} method: a batch has one request and one response`]),
    ...(target.policy.batch
      ? [`${target.name} is batched itself: name the method that its calls become parts of`]
      : []),
  ];
}

/** A key lets the server tell a repetition; a level on the batch alone says less than its parts need. */
function unsafeTarget(idempotency: Method["idempotency"], { name, policy }: Peer): string[] {
  const repeated = (["retry", "hedge"] as const).find((key) => policy[key] !== undefined);
  if (!repeated || policy.idempotencyKey || idempotency !== "UNKNOWN") return [];
  return [
    `${name} has ${repeated}, which would repeat calls of this method, and those are not safe to repeat: set idempotency_level here too, or idempotency_key: {} there`,
  ];
}
