import {
  type DescMethod,
  type DescService,
  type FileRegistry,
  getOption,
  hasOption,
  type Message,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import type { BatchAccess } from "../contract/batch.ts";
import type { HeartbeatAccess } from "../contract/cursor.ts";
import type { MethodPolicy, ServicePolicy } from "../contract/policy.ts";
import { checkMethodPolicy, checkServicePolicy, type MethodFacts } from "../contract/validate.ts";
import { checkBatchTarget, type Peer } from "../contract/validate-batches.ts";
import type { Problem } from "../contract/value-checks.ts";
import { methodKind } from "../core/method.ts";
import { readBatch } from "./batch.ts";
import { type Cursor, readCursor } from "./cursor.ts";
import { readHeartbeat } from "./heartbeat.ts";
import { methodKey } from "./names.ts";
import type { TsProtoOptions } from "./plugin-options.ts";
import { type PolicyRecord, type RecordValue, readPolicy } from "./policy-record.ts";
import type { SourceFile } from "./source-file.ts";
import type { SourcePath } from "./source-positions.ts";

type PolicyValues = Readonly<Record<string, RecordValue>>;

/** What a method's contract says. */
export interface MethodContract {
  readonly desc: DescMethod;
  /** Its key in ts-proto's definition, and so its name in client and handlers. */
  readonly key: string;
  /** The comment on it. */
  readonly comment: string;
  /** What its options say; empty if nothing. */
  readonly policy: PolicyValues;
  /** With resume. */
  readonly cursor: Cursor | undefined;
  /** With heartbeats. */
  readonly heartbeat: HeartbeatAccess | undefined;
  /** With batching. */
  readonly batch: BatchAccess | undefined;
}

/** What a service's contract says. */
export interface ServiceContract {
  readonly desc: DescService;
  readonly comment: string;
  readonly policy: PolicyValues;
  readonly methods: readonly MethodContract[];
}

/** A method, and what its options say. */
interface Member extends Peer {
  readonly desc: DescMethod;
  readonly at: SourcePath;
  readonly option: PolicyRecord | undefined;
}

/** A service as its methods see it. */
interface Surroundings {
  readonly policy: ServicePolicy;
  readonly members: readonly Member[];
}

// Field numbers in descriptor.proto.
const FILE_SERVICE = 6;
const SERVICE_METHOD = 2;
const SERVICE_OPTIONS = 3;
const METHOD_OPTIONS = 4;

/** Reads contracts out of descriptors; tells the file what is wrong with them. */
export class ContractReader {
  readonly #registry: FileRegistry;
  readonly #options: TsProtoOptions;

  constructor(registry: FileRegistry, options: TsProtoOptions) {
    this.#registry = registry;
    this.#options = options;
  }

  /** The contract of the service that is the file's `index`-th. */
  service(desc: DescService, index: number, file: SourceFile): ServiceContract {
    const at = [FILE_SERVICE, index];
    const option = this.#policy(desc, "bowline.v1.service", [...at, SERVICE_OPTIONS], file);
    if (option) tell(option, checkServicePolicy(option.record as ServicePolicy), file);
    const members = desc.methods.map((method, index) => this.#member(method, [...at, SERVICE_METHOD, index], file));
    const surroundings = { policy: (option?.record ?? {}) as ServicePolicy, members };
    const methods = members.map((member) => this.#method(member, surroundings, file));
    return { desc, comment: this.#comment(at, file), policy: option?.record ?? {}, methods };
  }

  #member(desc: DescMethod, at: SourcePath, file: SourceFile): Member {
    const option = this.#policy(desc, "bowline.v1.method", [...at, METHOD_OPTIONS], file);
    return { desc, at, option, name: desc.name, policy: (option?.record ?? {}) as MethodPolicy, ...facts(desc) };
  }

  #method(member: Member, { policy: service, members }: Surroundings, file: SourceFile): MethodContract {
    const { desc, at, option, policy } = member;
    const cursor = policy.resume && readCursor(desc, policy.resume, this.#options);
    const heartbeat = policy.heartbeat && readHeartbeat(desc, policy.heartbeat, this.#options);
    const batch = policy.batch && readBatch(desc, policy.batch, this.#options);
    const problems = [cursor, heartbeat, batch].flatMap((read) => read?.problems ?? []);
    const others = checkBatchTarget(member, members);
    if (option) tell(option, [...checkMethodPolicy(policy, member, service), ...others, ...problems], file);
    return {
      desc,
      key: methodKey(desc.name),
      comment: this.#comment(at, file),
      policy: option?.record ?? {},
      cursor: cursor?.cursor,
      heartbeat: heartbeat?.heartbeat,
      batch: batch?.batch,
    };
  }

  #comment(at: SourcePath, file: SourceFile): string {
    return this.#options.comments ? file.positions.comment(at) : "";
  }

  #policy(desc: DescService | DescMethod, name: string, at: SourcePath, file: SourceFile): PolicyRecord | undefined {
    const extension = this.#registry.getExtension(name);
    if (!extension?.message || !hasOption(desc, extension)) return undefined;
    const option = reflect(extension.message, getOption(desc, extension) as Message);
    return readPolicy(option, [...at, extension.number], file.positions);
  }
}

function facts(method: DescMethod): MethodFacts {
  const { clientStreaming, serverStreaming } = method.proto;
  return { kind: methodKind(clientStreaming, serverStreaming), idempotency: idempotency(method) };
}

function idempotency({ idempotency }: DescMethod): MethodFacts["idempotency"] {
  if (idempotency === Level.NO_SIDE_EFFECTS) return "NO_SIDE_EFFECTS";
  return idempotency === Level.IDEMPOTENT ? "IDEMPOTENT" : "UNKNOWN";
}

/** Tells the file what is wrong with an option. */
function tell(option: PolicyRecord, problems: readonly Problem[], file: SourceFile): void {
  const unreadable = new Set(option.problems.map(({ path }) => path.join(".")));
  const others = problems.filter(({ path }) => !unreadable.has(path.join(".")));
  for (const { path, message } of [...option.problems, ...others]) {
    const { at, name } = option.place(path);
    file.problem(at, name ? `${name}: ${message}` : message);
  }
}
