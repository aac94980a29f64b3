import type { ServerOptions } from "@grpc/grpc-js";
import { type Filled, LONGEST_32_BIT_MS } from "../core/check-options.ts";

/** What one client, and all of them together, may take up of a server. */
export interface ServerLimits {
  /** Largest message to receive, in bytes. Default: 4 MiB, as gRPC everywhere. */
  readonly maxReceiveMessageBytes?: number | undefined;
  /**
   * Most metadata of a call, in bytes, as HTTP/2 counts them: key, value and 32 for each. A call with more is reset, and
   * its client sees RESOURCE_EXHAUSTED; a call has at most 128 keys besides. Default: 16 KiB, gRPC's own hard limit.
   */
  readonly maxMetadataBytes?: number | undefined;
  /**
   * How many calls, streams included, may be open over one connection. Clients are told, and let further calls wait
   * until others end. Default: 1,000: Envoy's 100 for edges would let a gateway's 101st watch wait for ever.
   */
  readonly maxStreamsPerConnection?: number | undefined;
  /**
   * How many calls per second a client may cancel over one connection, for long; ten times as many at once. Default:
   * 1,000. Above it the connection is taken for an attack (CVE-2023-44487) and closed, for every call on it: Node's own
   * 33 do that to an honest client whose calls run into their deadlines where the server is slow.
   */
  readonly maxStreamResetsPerSecond?: number | undefined;
  /**
   * How many connections there may be at an address. One more is closed as soon as it is made, before TLS. Default:
   * 10,000, so that the process does not run out of memory first.
   */
  readonly maxConnections?: number | undefined;
  /**
   * The same for each peer, by its address without port, of IPv6 by its network of 64 bits; without effect on a socket
   * file, where clients have none. Default: no limit, since proxies come from one address.
   */
  readonly maxConnectionsPerPeer?: number | undefined;
  /**
   * After how long without a call a connection is closed in good order, in milliseconds; also one over which nothing
   * ever came. `Infinity`: never. Default: 1,800,000, after which clients on grpc-js leave by themselves.
   */
  readonly maxConnectionIdleMs?: number | undefined;
  /**
   * After how long a connection is closed in good order, in milliseconds, spread by 10 % either way: calls under way
   * finish, and the client connects anew, to whichever replica there is then. `Infinity`: never. Default: 1,800,000:
   * else a replica that is added would get no load from those who are connected.
   */
  readonly maxConnectionAgeMs?: number | undefined;
  /**
   * How long calls that are under way then may take, in milliseconds, before they are broken off. Default: `Infinity`,
   * as long as they like.
   */
  readonly maxConnectionAgeGraceMs?: number | undefined;
  /**
   * After how much silence a connection is asked for a sign of life, in milliseconds; `Infinity`: never. Default:
   * 60,000; gRPC's two hours keep the handlers of streams running whose clients are long gone.
   */
  readonly keepaliveTimeMs?: number | undefined;
  /** How long to wait for that sign before the connection is broken off, in milliseconds. Default: 20,000. */
  readonly keepaliveTimeoutMs?: number | undefined;
}

const HALF_AN_HOUR_MS = 1_800_000;

/** What holds unless it is said otherwise. */
export const defaultServerLimits: Filled<ServerLimits> = {
  maxReceiveMessageBytes: 4 * 1024 * 1024,
  maxMetadataBytes: 16 * 1024,
  maxStreamsPerConnection: 1_000,
  maxStreamResetsPerSecond: 1_000,
  maxConnections: 10_000,
  maxConnectionsPerPeer: Number.POSITIVE_INFINITY,
  maxConnectionIdleMs: HALF_AN_HOUR_MS,
  maxConnectionAgeMs: HALF_AN_HOUR_MS,
  maxConnectionAgeGraceMs: Number.POSITIVE_INFINITY,
  keepaliveTimeMs: 60_000,
  keepaliveTimeoutMs: 20_000,
};

/** By how much grpc-js spreads a connection's age. */
const AGE_SPREAD = 1.1;

/** HTTP/2 and Node keep these in 32 bits. */
const MOST = 4_294_967_295;

/**
 * The limits that grpc-js keeps. What it would take for an immediate end stands for never here: Node turns longer delays
 * into 1 ms, and every connection would be closed at once.
 */
export function toGrpcLimits(limits: Filled<ServerLimits>): ServerOptions {
  const { maxConnectionAgeMs: age, maxConnectionAgeGraceMs: grace } = limits;
  return {
    "grpc.max_receive_message_length": limits.maxReceiveMessageBytes,
    "grpc.max_connection_idle_ms": Math.min(limits.maxConnectionIdleMs, LONGEST_32_BIT_MS),
    "grpc.keepalive_time_ms": Math.min(limits.keepaliveTimeMs, LONGEST_32_BIT_MS),
    "grpc.keepalive_timeout_ms": Math.min(limits.keepaliveTimeoutMs, LONGEST_32_BIT_MS),
    ...(age * AGE_SPREAD <= LONGEST_32_BIT_MS && { "grpc.max_connection_age_ms": age }),
    ...(grace <= LONGEST_32_BIT_MS && { "grpc.max_connection_age_grace_ms": grace }),
  };
}

/** The limits that Node's HTTP/2 keeps: options of its server, for which grpc-js has no way of its own. */
export function toHttp2Limits(limits: Filled<ServerLimits>, settings: object | undefined): object {
  const rate = limits.maxStreamResetsPerSecond;
  return {
    streamResetRate: Math.min(Math.ceil(rate), MOST),
    streamResetBurst: Math.min(Math.ceil(10 * rate), MOST),
    settings: {
      maxConcurrentStreams: Math.min(limits.maxStreamsPerConnection, MOST),
      maxHeaderListSize: Math.min(limits.maxMetadataBytes, MOST),
      // What `channelOptions` says.
      ...settings,
    },
  };
}
