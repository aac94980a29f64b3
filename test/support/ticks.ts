import type { CallOptions, ResponseStream } from "bowline";
import { createServer, type Server, type ServerOptions, serverMiddleware } from "bowline/server";
import {
  createChannel,
  createClientFactory,
  createServer as createNiceServer,
  type CallContext as NiceCallContext,
  type ServerMiddleware,
} from "nice-grpc";
import { onTestFinished } from "vitest";
import { contract } from "../../src/contract/contract.ts";
import type { CallContext } from "../../src/core/call-context.ts";

/** The one message of the service: where it is in the stream, and whether it is nothing but a sign of life. */
export interface Tick {
  at: number;
  heartbeat: boolean;
}

/** A message type as ts-proto prints it, in JSON on the wire. */
const Tick = {
  encode: (tick: Tick) => ({ finish: (): Uint8Array => Buffer.from(JSON.stringify(tick)) }),
  decode: (bytes: Uint8Array): Tick => Tick.fromPartial(bytes.length > 0 ? JSON.parse(String(Buffer.from(bytes))) : {}),
  fromPartial: (given: Partial<Tick>): Tick => ({ at: 0, heartbeat: false, ...given }),
};

const messages = { requestType: Tick, responseType: Tick };

/** ts-proto's definition of a service with a stream that may be quiet. */
export const TicksDefinition = {
  name: "Ticks",
  fullName: "test.v1.Ticks",
  methods: {
    get: { name: "Get", ...messages, requestStream: false, responseStream: false, options: {} },
    sum: { name: "Sum", ...messages, requestStream: true, responseStream: false, options: {} },
    watch: { name: "Watch", ...messages, requestStream: false, responseStream: true, options: {} },
    echo: { name: "Echo", ...messages, requestStream: true, responseStream: true, options: {} },
  },
} as const;

/** Its path, as nice-grpc names methods. */
export const WATCH = "/test.v1.Ticks/Watch";

/** How often a handler that has nothing to say gives a sign of life here, in milliseconds. */
export const INTERVAL_MS = 25;

/** What a stream of the service is served by. */
export type Stream<Context = CallContext> = (
  request: Tick | AsyncIterable<Tick>,
  context: Context,
) => AsyncIterable<Partial<Tick>>;

/** The handlers that a test gives; the context is ours, or nice-grpc's own. */
export interface TicksHandlers<Context = CallContext> {
  get?(request: Tick, context: Context): Promise<Partial<Tick>>;
  sum?(requests: AsyncIterable<Tick>, context: Context): Promise<Partial<Tick>>;
  watch?: Stream<Context>;
  echo?: Stream<Context>;
}

/** Our client of the service. */
export interface TicksClient {
  watch(request: Partial<Tick>, options?: CallOptions): ResponseStream<Tick>;
}

/** The contract: both streams have heartbeats. */
export const Ticks = contract<typeof TicksDefinition, TicksClient, object>({
  definition: TicksDefinition,
  service: {},
  methods: {
    watch: { heartbeat: { field: "heartbeat", intervalMs: INTERVAL_MS } },
    echo: { heartbeat: { field: "heartbeat", intervalMs: INTERVAL_MS } },
  },
  cursors: {},
  heartbeats: { watch: { field: "heartbeat" }, echo: { field: "heartbeat" } },
  descriptors: () => "",
});

const refused = () => {
  throw new Error("not in this test");
};
const NONE = { get: refused, sum: refused, watch: refused, echo: refused };

/** A server of ticks, and how many handlers it says are running. */
export interface TicksServer {
  readonly port: number;
  readonly server?: Server;
}

/** Serves ticks with our server until the test is over. */
export async function serveTicks(given: TicksHandlers, options: ServerOptions = {}): Promise<TicksServer> {
  const server = createServer({ drainOn: [], reflection: false, ...options }).add(Ticks, { ...NONE, ...given });
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  return { port, server };
}

/** Serves ticks with nice-grpc's server and our middleware until the test is over. */
export async function serveTicksOnNice(given: TicksHandlers, options: ServerOptions = {}): Promise<TicksServer> {
  const { use = [], ...others } = options;
  return serveTicksBare(given as TicksHandlers<NiceCallContext>, ...use, serverMiddleware(Ticks, others));
}

/** Serves ticks with nice-grpc's server alone and its middlewares, the first the outermost, until the test is over. */
export async function serveTicksBare(
  given: TicksHandlers<NiceCallContext>,
  ...middlewares: ServerMiddleware[]
): Promise<TicksServer> {
  const server = middlewares.reduce((server, middleware) => server.use(middleware), createNiceServer());
  server.add(TicksDefinition, { ...NONE, ...given } as never);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(() => server.forceShutdown());
  return { port };
}

/** nice-grpc's own client of ticks, until the test is over: it shows heartbeats as the messages that they are. */
export function connectTicks(port: number) {
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  return createClientFactory().create(TicksDefinition, channel);
}
