import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { StatusDetail } from "bowline";
import { mustRun } from "./run.ts";

const PROTOS = "node_modules/google-gax/build/protos";

/** google.rpc's types as protobuf-es has them, read from Google's own files: another reader and writer than ours. */
function readRpcTypes(): Registry {
  const out = mkdtempSync(join(tmpdir(), "bowline-rpc-types-"));
  const config = JSON.stringify({ version: "v2", modules: [{ path: PROTOS, includes: [`${PROTOS}/google/rpc`] }] });
  const paths = ["error_details", "status"].flatMap((name) => ["--path", `${PROTOS}/google/rpc/${name}.proto`]);
  mustRun("buf", ["build", PROTOS, "--config", config, ...paths, "--as-file-descriptor-set", "-o", `${out}/set.binpb`]);
  const set = fromBinary(FileDescriptorSetSchema, readFileSync(`${out}/set.binpb`));
  rmSync(out, { recursive: true });
  return createFileRegistry(set);
}

/** google.rpc's types, as Google's own files declare them. */
export const rpcTypes = readRpcTypes();

function typeNamed(name: string): DescMessage {
  const found = rpcTypes.getMessage(name);
  if (!found) throw new Error(`no type ${name}`);
  return found;
}

/** A `google.rpc.Status` as protobuf-es has it. */
export interface EsStatus extends Message {
  readonly code: number;
  readonly message: string;
  readonly details: readonly Any[];
}

/** Reads a `google.rpc.Status`. */
export function readStatus(bytes: Uint8Array): EsStatus {
  return fromBinary(typeNamed("google.rpc.Status"), bytes) as EsStatus;
}

/** What an Any holds, with the type's name and its fields alone. */
export function readAny({ typeUrl, value }: Pick<Any, "typeUrl" | "value">): Record<string, unknown> {
  return plain(fromBinary(typeNamed(typeUrl.slice(typeUrl.lastIndexOf("/") + 1)), value)) as Record<string, unknown>;
}

/** A `google.rpc.Status` of details, given as protobuf-es takes them. */
export function writeStatus(code: number, message: string, ...details: Pick<Any, "typeUrl" | "value">[]): Uint8Array {
  const anys = details.map(({ typeUrl, value }) => ({ typeUrl, value }));
  return toBinary(
    typeNamed("google.rpc.Status"),
    create(typeNamed("google.rpc.Status"), { code, message, details: anys }),
  );
}

/** A detail's bytes, written by protobuf-es. */
export function writeDetail({ $type, ...fields }: StatusDetail): Uint8Array {
  const type = typeNamed($type);
  return toBinary(type, create(type, toEs(fields)));
}

/** The same in protobuf-es's words: a duration is a message. */
export function toEs({ retryDelayMs, ...fields }: Record<string, unknown>): Record<string, unknown> {
  if (typeof retryDelayMs !== "number") return fields;
  const nanos = BigInt(Math.round(retryDelayMs * 1_000)) * 1_000n;
  return { retryDelay: { seconds: nanos / 1_000_000_000n, nanos: Number(nanos % 1_000_000_000n) } };
}

function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plain);
  const entries = Object.entries(value).filter(([name]) => name !== "$typeName" && name !== "$unknown");
  return Object.fromEntries(entries.map(([name, one]) => [name, plain(one)]));
}
