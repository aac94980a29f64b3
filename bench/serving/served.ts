import { type Authenticators, createServer, type ListenOptions, type ServerOptions } from "bowline/server";
import { order } from "../message.ts";
import { handlers } from "../stacks/handlers.ts";
import type { Calls } from "./calls.ts";
import { ordersFor, SCOPE } from "./orders.ts";

/** One way to serve CreateOrder, and what is sent to it. */
export interface Variant {
  readonly title: string;
  /** @param redisPort where Redis listens; 0 if there is none. */
  serve(redisPort: number): Serving | Promise<Serving>;
}

/** What a variant's server is made with. */
export interface Serving {
  /** What is on; whatever is not named is off. */
  readonly options?: ServerOptions;
  /** What a caller must be allowed, where the server authenticates. Default: one scope. */
  readonly scopes?: readonly string[];
  readonly listen?: ListenOptions;
  /** Default: answers at once. */
  readonly createOrder?: () => Promise<typeof order>;
  /** What its client sends, and what it must be answered. Default: nothing but requests, and answers. */
  readonly calls?: Omit<Calls, "port">;
}

/** Everything off that this benchmark is about. */
const OFF: ServerOptions = {
  drainOn: [],
  rateLimit: false,
  shed: false,
  validation: false,
  idempotency: false,
  authenticate: false,
};

/** Serves a variant on loopback. @returns what its client is to do. */
export async function served({ serve }: Variant, redisPort: number): Promise<Calls> {
  const { options, scopes = [SCOPE], listen, createOrder = async () => order, calls } = await serve(redisPort);
  const server = createServer({ ...OFF, ...options }).add(ordersFor(scopes), { ...handlers, createOrder });
  return { ...calls, port: await server.listen("127.0.0.1:0", listen) };
}

/** A caller whom it takes no time to know. */
export const knownCaller: Authenticators = () => ({
  identity: { key: "bench:u-1", source: "token", subject: "u-1", scopes: [SCOPE] },
});
