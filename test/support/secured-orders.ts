import { type ClientOptions, closeClient, createClient } from "bowline";
import { createServer, type Server, type ServerOptions } from "bowline/server";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { onTestFinished } from "vitest";
import type { OrderServiceClient, OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { ordersHandlers } from "./handlers.ts";
import { PatientOrders } from "./patient-orders.ts";

/**
 * The orders contract with something of each kind said of who may call: CreateOrder needs `orders.write`, GetOrder and
 * WatchOrders need `orders.read`, ListOrders and QuoteBaskets take anybody who is authenticated; ImportOrders says nothing.
 */
export const SecuredOrders = contract<typeof PatientOrders.definition, OrderServiceClient, OrderServiceHandlers>({
  ...PatientOrders,
  methods: {
    ...PatientOrders.methods,
    createOrder: { auth: { scopes: ["orders.write"] } },
    getOrder: { timeoutMs: 10_000, auth: { scopes: ["orders.read"] } },
    watchOrders: { auth: { scopes: ["orders.read"] } },
    listOrders: { auth: {} },
    quoteBaskets: { auth: {} },
    importOrders: {},
  },
});

/** The same, with GetOrder for everybody. */
export const PublicOrders = contract<typeof PatientOrders.definition, OrderServiceClient, OrderServiceHandlers>({
  ...SecuredOrders,
  methods: { ...SecuredOrders.methods, getOrder: { timeoutMs: 10_000, auth: { public: true } } },
});

export const ISSUER = "https://id.test";
export const AUDIENCE = "orders";

/** An issuer of tokens that are valid unless a test says otherwise. */
export async function anIssuer(algorithm = "ES256", kid = "k-1") {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: "sig" };
  const token = (claims: JWTPayload = {}, header: Record<string, unknown> = {}) => {
    const now = Math.floor(Date.now() / 1_000);
    const usual = { iss: ISSUER, aud: AUDIENCE, sub: "u-1", scope: "orders.read", iat: now, exp: now + 60 };
    return new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: algorithm, kid, ...header }).sign(privateKey);
  };
  return { jwk, jwks: { keys: [jwk] }, privateKey, publicKey, token };
}

/** Serves the secured orders until the test is over. */
export async function serveSecured(
  given: Partial<OrderServiceHandlers>,
  options: ServerOptions,
  { secured = SecuredOrders, tls = undefined as { cert: Buffer; key: Buffer; ca?: Buffer } | undefined } = {},
): Promise<{ server: Server; port: number }> {
  const server = createServer({ drainOn: [], validation: false, ...options }).add(secured, ordersHandlers(given));
  const port = await server.listen("127.0.0.1:0", tls ? { tls } : {});
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  return { server, port };
}

/** Calls the secured orders until the test is over. */
export function connectSecured(port: number, options: ClientOptions = {}): OrderServiceClient & Disposable {
  const client = createClient(SecuredOrders, `127.0.0.1:${port}`, options);
  onTestFinished(() => closeClient(client));
  return client;
}

/** Call options with a token. */
export const bearerOf = (token: string) => ({ metadata: { authorization: `Bearer ${token}` } });
