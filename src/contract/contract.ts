import type { BatchAccess } from "./batch.ts";
import { checkFields } from "./check-fields.ts";
import type { CursorAccess, HeartbeatAccess } from "./cursor.ts";
import type { ServiceDefinition } from "./definition.ts";
import { toMethod } from "./definition.ts";
import type { MethodPolicy, ServicePolicy } from "./policy.ts";
import { checkMethodPolicy, checkServicePolicy } from "./validate.ts";
import { checkBatchTarget, type Peer } from "./validate-batches.ts";
import { checkFieldNames } from "./validate-streams.ts";
import type { Problem } from "./value-checks.ts";

/** What generated code says about a service. */
export interface ContractInit<Definition extends ServiceDefinition> {
  /** ts-proto's definition. */
  readonly definition: Definition;
  /** What the service says for all of its methods. */
  readonly service: ServicePolicy;
  /** What each method says; a method that says nothing is left out. */
  readonly methods: Readonly<Record<string, MethodPolicy | undefined>>;
  /** Cursor fields of the methods that resume. */
  // biome-ignore lint/suspicious/noExplicitAny: each access is typed by the generated code
  readonly cursors: Readonly<Record<string, CursorAccess<any, any, any> | undefined>>;
  /** Heartbeat fields of the methods that have any. Older generated files have none. */
  readonly heartbeats?: Readonly<Record<string, HeartbeatAccess | undefined>>;
  /** Where the calls of the methods go that are batched. Older generated files have none. */
  readonly batches?: Readonly<Record<string, BatchAccess | undefined>>;
  /**
   * Serialised `google.protobuf.FileDescriptorSet` in base64: the service's file and what it imports, without
   * protobuf's well-known files and the toolkit's options, which the server has. Read by reflection alone.
   */
  descriptors(): string;
}

/** A service's contract: what clients and servers are made from. Generated, one value per service. */
export interface Contract<
  Definition extends ServiceDefinition = ServiceDefinition,
  Client = unknown,
  Handlers = unknown,
> extends ContractInit<Definition> {
  /** `package.Service`. */
  readonly name: string;
  /** Carries the types of the service's client and handlers; never set. */
  readonly types?: { readonly client: Client; readonly handlers: Handlers };
}

/** The client's type of a contract. */
export type ClientOf<C> = C extends Contract<ServiceDefinition, infer Client, unknown> ? Client : never;

/** The handlers' type of a contract. */
export type HandlersOf<C> = C extends Contract<ServiceDefinition, unknown, infer Handlers> ? Handlers : never;

/**
 * Makes a contract, and checks that its parts fit together.
 *
 * @throws TypeError that lists every problem: a policy that is refused, a method, or a field of a cursor, a heartbeat or
 *   a batch, that ts-proto's definition does not have.
 */
export function contract<Definition extends ServiceDefinition, Client, Handlers>(
  init: ContractInit<Definition>,
): Contract<Definition, Client, Handlers> {
  const problems = checkContract(init);
  if (problems.length > 0) throw new TypeError(describe(init.definition.fullName, problems));
  return checkedContract(init);
}

/** Makes a contract of parts in which `checkContract` has found no problem. */
export function checkedContract<Definition extends ServiceDefinition, Client, Handlers>(
  init: ContractInit<Definition>,
): Contract<Definition, Client, Handlers> {
  return {
    name: init.definition.fullName,
    ...init,
    methods: bare(init.methods),
    cursors: bare(init.cursors),
    heartbeats: bare(init.heartbeats ?? {}),
    batches: bare(init.batches ?? {}),
  };
}

/** A record that inherits nothing, since a method may be called `toString`. */
function bare<T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.assign(Object.create(null), record);
}

/** Whether a value is a contract, and not the definition beside it. */
export function isContract(value: unknown): value is Contract {
  const candidate = value as Partial<Contract> | null | undefined;
  return typeof candidate === "object" && Boolean(candidate?.definition?.methods && candidate.methods);
}

/**
 * Makes sure that what was passed is a contract, and not the definition beside it.
 *
 * @param caller who asks, for the message.
 * @throws TypeError for anything else.
 */
export function requireContract(value: unknown, caller: string): void {
  if (isContract(value)) return;
  throw new TypeError(`${caller}: the first argument is no contract; pass the service's value out of its .contract.ts`);
}

/** All that is wrong with what a contract is to be made of; empty if nothing is. */
export function checkContract(init: ContractInit<ServiceDefinition>): Problem[] {
  const known = init.definition.methods;
  const peers = peersOf(init);
  const problems = checkServicePolicy(init.service).map((problem) => within(["service"], problem));
  for (const [name, policy] of Object.entries(init.methods)) {
    if (!policy) continue;
    const peer = peers.get(name);
    const found = peer
      ? [
          ...checkMethodPolicy(policy, peer, init.service),
          ...checkFieldNames(policy),
          ...checkBatchTarget(peer, [...peers.values()]),
        ]
      : [unknownMethod(known)];
    problems.push(...found.map((problem) => within(["methods", name], problem)));
  }
  return [...problems, ...checkAccess(init)];
}

/** The methods that there are, by their keys, each with what is said of it. */
function peersOf({ definition, methods }: ContractInit<ServiceDefinition>): ReadonlyMap<string, Peer> {
  return new Map(
    Object.entries(definition.methods).map(([key, method]) => {
      const { name, kind, idempotency } = toMethod(definition, method);
      return [key, { name, kind, idempotency, policy: own(methods, key) ?? {} }];
    }),
  );
}

/** What is wrong with the fields that resume, heartbeats and batches go by. */
function checkAccess(init: ContractInit<ServiceDefinition>): Problem[] {
  const { definition, methods, cursors, heartbeats = {}, batches = {} } = init;
  const known = definition.methods;
  const problems = Object.keys(known).flatMap((name) =>
    checkFields(name, known, {
      policy: own(methods, name),
      cursor: own(cursors, name),
      heartbeat: own(heartbeats, name),
      batch: own(batches, name),
    }),
  );
  for (const [key, accesses] of Object.entries({ cursors, heartbeats, batches })) {
    const given = Object.keys(accesses).filter((name) => accesses[name] !== undefined);
    const unknown = given.filter((name) => !own(known, name));
    problems.push(...unknown.map((name) => within([key, name], unknownMethod(known))));
  }
  return problems;
}

/** A method may be called `toString`. */
function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function unknownMethod(known: Readonly<Record<string, unknown>>): Problem {
  const names = Object.keys(known).join(", ");
  return { path: [], message: `no such method; ts-proto's definition has ${names || "none"}` };
}

function within(path: readonly string[], problem: Problem): Problem {
  return { path: [...path, ...problem.path], message: problem.message };
}

function describe(service: string, problems: readonly Problem[]): string {
  const lines = problems.map(({ path, message }) => `  ${path.join(".")}: ${message}`);
  return `contract of ${service}: ${problems.length} problem(s)\n${lines.join("\n")}`;
}
