import { Channel, ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";
// Gives grpc-js's attempts to connect a time limit, which they lack.
import { Channel as NiceChannel } from "nice-grpc";
import { LONGEST_32_BIT_MS } from "../core/check-options.ts";
import { isLoopback } from "./target.ts";

export type { Channel } from "@grpc/grpc-js";

/** What TLS needs to know; PEM texts. */
export interface ClientTls {
  /** Certificates of the authorities to trust. Default: those that Node trusts. */
  readonly ca?: string | Uint8Array | undefined;
  /** The client's certificate chain, for mTLS; goes with `key`. Default: none. */
  readonly cert?: string | Uint8Array | undefined;
  /** The client's private key, for mTLS; goes with `cert`. Default: none. */
  readonly key?: string | Uint8Array | undefined;
  /** The name that the server's certificate must carry. Default: the target's host. */
  readonly serverName?: string | undefined;
}

/** How connections are made and kept. Every default is what people otherwise learn the hard way. */
export interface ConnectionOptions {
  /**
   * How long a connection may stay silent before it is asked for a sign of life, in milliseconds.
   * Default: 60,000. grpc-js never asks, so a connection that died behind a load balancer is found by failing calls.
   */
  readonly keepaliveTimeMs?: number | undefined;
  /** How long to wait for that sign before the connection is given up, in milliseconds. Default: 20,000. */
  readonly keepaliveTimeoutMs?: number | undefined;
  /**
   * How long one attempt to connect may take, TLS and HTTP/2 settings included, in milliseconds. Default: 5,000.
   * grpc-js waits for ever for a server that accepts and says nothing.
   */
  readonly connectTimeoutMs?: number | undefined;
  /** Wait after the first failed attempt to connect, in milliseconds; ±20 %. Default: 100 (grpc-js: 1,000). */
  readonly initialReconnectBackoffMs?: number | undefined;
  /**
   * Longest wait between attempts to connect, in milliseconds. Default: 2,000. grpc-js's 120,000 leaves a server that
   * is back without traffic for up to two minutes.
   */
  readonly maxReconnectBackoffMs?: number | undefined;
  /** Largest message to receive, in bytes. Default: 4 MiB, as gRPC everywhere. */
  readonly maxReceiveMessageBytes?: number | undefined;
  /** Further grpc-js channel arguments; they win over all of the above. Default: none. */
  readonly channelOptions?: ChannelOptions | undefined;
}

/** Credentials for a target: TLS where settings are given, else plaintext. */
export function clientCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (!tls) return ChannelCredentials.createInsecure();
  return ChannelCredentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert));
}

/** Opens a channel; it connects when the first call is made. */
export function createChannel(target: string, tls: ClientTls | undefined, options: ConnectionOptions): Channel {
  return new Channel(target, clientCredentials(tls), channelOptions(target, tls, options));
}

/** The arguments that grpc-js's channel takes. */
export function channelOptions(target: string, tls: ClientTls | undefined, options: ConnectionOptions): ChannelOptions {
  const name = tls?.serverName;
  return {
    "grpc.keepalive_time_ms": delayMs(options.keepaliveTimeMs ?? 60_000),
    "grpc.keepalive_timeout_ms": delayMs(options.keepaliveTimeoutMs ?? 20_000),
    "grpc.min_reconnect_backoff_ms": delayMs(options.connectTimeoutMs ?? 5_000),
    "grpc.initial_reconnect_backoff_ms": delayMs(options.initialReconnectBackoffMs ?? 100),
    "grpc.max_reconnect_backoff_ms": delayMs(options.maxReconnectBackoffMs ?? 2_000),
    "grpc.max_receive_message_length": options.maxReceiveMessageBytes ?? 4 * 1024 * 1024,
    // Policies come from the contract; a retry policy out of DNS would multiply them. Without one, grpc-js makes
    // transparent retries alone (rule R6); its option that turns retries off would turn these off too.
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_channelz": 0,
    // As in grpc-java; large messages stop at every 64 KiB otherwise. A stream that nobody reads holds as much.
    "grpc-node.flow_control_window": 1024 * 1024,
    // A proxy of the environment would take even what goes to localhost off this machine.
    ...(isLoopback(target) ? { "grpc.enable_http_proxy": 0 } : {}),
    ...(name ? { "grpc.ssl_target_name_override": name, "grpc.default_authority": name } : {}),
    ...options.channelOptions,
  };
}

/** Node turns longer delays into 1 ms: instead of never, a connection would be given up at once. */
function delayMs(given: number): number {
  return Math.min(given, LONGEST_32_BIT_MS);
}

/**
 * Warns where nice-grpc, and with it the time limit of attempts to connect, has another copy of grpc-js than this
 * module: the limit would silently be none.
 *
 * @param theirs the `Channel` of nice-grpc's copy.
 */
export function warnOfTwoCopies(theirs: unknown): void {
  if (theirs === Channel) return;
  process.emitWarning(
    "bowline: nice-grpc has a copy of @grpc/grpc-js of its own, so connectTimeoutMs has no effect: a server that " +
      "accepts and says nothing is waited for without end. Have one copy: npm dedupe, or an override of " +
      "@grpc/grpc-js in package.json; npm ls @grpc/grpc-js shows who asks for which",
  );
}

warnOfTwoCopies(NiceChannel);

function pem(text: string | Uint8Array | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text);
}
