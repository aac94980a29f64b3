import { Client, type ClientOptions, credentials, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { IDEMPOTENCY_KEY } from "../../src/core/idempotency.ts";
import type { BenchClient } from "../stacks/stack.ts";
import { CREATE_ORDER, requests } from "./orders.ts";

/** What a client does. */
export interface Calls {
  readonly port: number;
  /** Default: plaintext. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
  /** Sent one after the other, from the first again after the last. Default: none. */
  readonly tokens?: readonly string[];
  /** Whether each call has an idempotency key of its own. Default: false. */
  readonly keyed?: boolean;
  /** Default: a right one. */
  readonly request?: keyof typeof requests;
  /** How many calls are made before all others, whatever comes of them. Default: 0. */
  readonly ahead?: number;
  /** What each call must be answered. Default: OK. */
  readonly answer?: keyof typeof status;
}

/** A client that decodes nothing, so that the machine is left to the server. It fails at an answer that is another. */
export function connect(calls: Calls): BenchClient {
  const { port, tls, request = "right", ahead = 0, answer = "OK" } = calls;
  const own: ClientOptions = { "grpc.use_local_subchannel_pool": 1 };
  if (tls) own["grpc.ssl_target_name_override"] = "localhost";
  const client = new Client(`127.0.0.1:${port}`, credentialsOf(tls), own);
  const metadataOf = metadataFor(calls);
  const call = (callback: (error: StatusObject | null) => void) => {
    client.makeUnaryRequest(CREATE_ORDER, asIs, asIs, requests[request], metadataOf(), callback);
  };
  for (let made = 0; made < ahead; made += 1) call(() => {});
  return {
    unary: () =>
      new Promise<void>((resolve, reject) => {
        call((error) => {
          if ((error?.code ?? status.OK) === status[answer]) resolve();
          else reject(error ?? new Error(`answered OK, and not ${answer}`));
        });
      }),
    stream: unused,
    open: unused,
  };
}

async function unused(): Promise<never> {
  throw new Error("only unary calls are measured");
}

const asIs = (bytes: Buffer) => bytes;

function credentialsOf(tls: Calls["tls"]) {
  if (!tls) return credentials.createInsecure();
  const [ca, key, cert] = [tls.ca, tls.key, tls.cert].map((text) => (text === undefined ? null : Buffer.from(text)));
  return credentials.createSsl(ca, key, cert);
}

/** Makes the metadata of one call after the other. */
function metadataFor({ tokens = [], keyed = false }: Calls): () => Metadata {
  const headers = tokens.map((token) => `Bearer ${token}`);
  let made = 0;
  return () => {
    const metadata = new Metadata();
    if (headers.length > 0) metadata.set("authorization", headers[made % headers.length] ?? "");
    if (keyed) metadata.set(IDEMPOTENCY_KEY, `k-${made}`);
    made += 1;
    return metadata;
  };
}
