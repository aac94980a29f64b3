import { type Contract, requireContract } from "../contract/contract.ts";
import { toMethod } from "../contract/definition.ts";
import type { Attempt } from "../core/call.ts";
import type { CallOptions } from "../core/call-options.ts";
import { systemClock } from "../core/clock.ts";
import { MOST_METADATA_BYTES } from "../core/metadata-size.ts";
import type { Method } from "../core/method.ts";
import { systemRandom } from "../core/random.ts";
import { type ClientTls, channelAttempt, createChannel } from "../transport/index.ts";
import { keepBreakers } from "./breakers-of.ts";
import { CALL_OPTIONS } from "./call-option-names.ts";
import { callOptionsCheck } from "./check-call-options.ts";
import { type ClientOptions, checkClientOptions } from "./client-options.ts";
import { ClientState } from "./client-state.ts";
import { aroundStream, aroundUnary, composeForeign } from "./foreign-middleware.ts";
import { streamMethod, unaryMethod } from "./invoke.ts";
import { composeStream, composeUnary } from "./pipeline.ts";
import { LivePolicies } from "./updates/live-policies.ts";
import { keepPolicies } from "./updates/update-policies.ts";

/**
 * Makes a client for a contract's service. It connects when the first call is made, and keeps one connection.
 *
 * @param target what gRPC dials, such as `dns:///orders:50051`, `localhost:50051` or `unix:/run/orders.sock`.
 * @throws TypeError that lists everything that is wrong with target and options: plaintext that would leave this
 *   machine without `insecure: true`, a timeout that is not greater than zero …
 */
export function createClient<Client extends object>(
  contract: Contract<Contract["definition"], Client, unknown>,
  target: string,
  options: ClientOptions<NoInfer<Client>> = {},
): Client & Disposable {
  requireContract(contract, "createClient");
  checkClientOptions(target, options, contract);
  const channel = createChannel(target, tlsOf(options), options);
  const attempt = channelAttempt(channel, systemClock, options.maxMetadataBytes ?? MOST_METADATA_BYTES);
  const { retryThrottling, retryBudget } = contract.service;
  const surroundings = { clock: systemClock, random: systemRandom, observer: options.observer, target };
  const state = new ClientState(surroundings, retryThrottling, retryBudget);
  const policies = new LivePolicies(contract, options, state);
  const wiring = { policies, state, attempt, foreign: composeForeign(options.use ?? []) };
  const client: Record<string | symbol, unknown> = {};
  for (const [key, definition] of Object.entries(contract.definition.methods)) {
    const method = toMethod(contract.definition, definition);
    client[key] = method.responseStream ? makeStream(key, method, wiring) : makeUnary(key, method, wiring);
  }
  const close = () => {
    attempt.close();
    state.close();
  };
  closes.set(client, close);
  client[Symbol.dispose] = close;
  keepPolicies(client, policies);
  return keepBreakers(client, state.breakers) as Client & Disposable;
}

const closes = new WeakMap<object, () => void>();

/**
 * Closes a client's connection: calls under way end with reason `CLIENT_CLOSED`, and so does every further one. The
 * same as leaving a `using` block.
 *
 * @throws TypeError for anything that `createClient` did not make.
 */
export function closeClient(client: object): void {
  const close = closes.get(client);
  if (!close) throw new TypeError("closeClient: this is no client that createClient made");
  close();
}

/** What a client's methods are made of. */
interface Wiring {
  readonly policies: LivePolicies;
  readonly state: ClientState;
  readonly attempt: Attempt;
  readonly foreign: ReturnType<typeof composeForeign>;
}

const checkCallOptions = callOptionsCheck(CALL_OPTIONS);

function makeUnary(key: string, method: Method, { policies, state, attempt, foreign }: Wiring) {
  let pipeline = attempt.unary;
  let sendsKeys = false;
  policies.follow(key, method, (layers) => {
    pipeline = composeUnary(layers, attempt, method);
    sendsKeys = layers.idempotencyKey !== undefined;
    // For the calls that become parts of this method's.
    state.pipelines.set(key, pipeline);
  });
  const check = (options: CallOptions) => checkCallOptions(options, method, sendsKeys);
  const call = unaryMethod(method, (call) => pipeline(call), systemClock, check);
  return foreign ? aroundUnary(foreign, method, call) : call;
}

function makeStream(key: string, method: Method, { policies, attempt, foreign }: Wiring) {
  let pipeline = attempt.stream;
  policies.follow(key, method, (layers) => {
    pipeline = composeStream(layers, attempt, method);
  });
  const check = (options: CallOptions) => checkCallOptions(options, method, false);
  const call = streamMethod(method, (call) => pipeline(call), systemClock, check);
  return foreign ? aroundStream(foreign, method, call) : call;
}

function tlsOf(options: ClientOptions): ClientTls | undefined {
  return options.tls === true ? {} : options.tls || undefined;
}
