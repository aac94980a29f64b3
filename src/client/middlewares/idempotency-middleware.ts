import type { ClientMiddleware } from "nice-grpc-common";
import type { ServiceDefinition } from "../../contract/definition.ts";
import { namedMethods, namesProblems, serviceProblems, type UnaryNameOf } from "../../contract/named-methods.ts";
import type { Layer } from "../../core/call.ts";
import type { CallOptions } from "../../core/call-options.ts";
import { checkOptions, isFunction, type OptionCheck } from "../../core/check-options.ts";
import { systemClock } from "../../core/clock.ts";
import { IDEMPOTENCY_KEY } from "../../core/idempotency.ts";
import { type Random, systemRandom } from "../../core/random.ts";
import { idempotencyKeyLayer } from "../layers/idempotency-key.ts";
import { aroundNice, isAttempt, type NiceMethod, niceMiddleware, type OwnOptions } from "../nice-pipeline.ts";

/** What `idempotencyKey()` takes. */
export interface IdempotencyKeyMiddlewareOptions<Service extends ServiceDefinition = ServiceDefinition> {
  /** The unary methods whose server recognises repetitions by a key, by their names in the definition. No default. */
  readonly methods: readonly UnaryNameOf<Service>[];
  /** For tests. Default: the machine's. */
  readonly random?: Random | undefined;
}

/** What `idempotencyKey()` adds to nice-grpc's call options. */
export type IdempotencyKeyCallOptions = Pick<CallOptions, "idempotencyKey">;

const OPTIONS: Readonly<Record<keyof IdempotencyKeyMiddlewareOptions, OptionCheck>> = {
  // Together with the definition.
  methods: () => undefined,
  random: isFunction,
};

const OWN_OPTIONS: OwnOptions = {
  idempotencyKey: true,
  signal: true,
  metadata: true,
  onHeader: true,
  onTrailer: true,
};

/**
 * Idempotency keys as one nice-grpc client middleware:
 * `createClientFactory().use(idempotencyKey(OrderServiceDefinition, { methods: ["createOrder"] }))`. Sends a key with
 * each call that passes: the caller's, as an option or as metadata, or one of 128 bits of chance. All other methods
 * pass untouched.
 *
 * `use` it after what repeats calls, such as `retry()`, so that it stands outside: the key is then one for the call,
 * the same with all of its attempts. Inside, each attempt would have a key of its own, and be another call to the
 * server: calls that `retry()`, `hedge()` or a contract's policies may repeat are refused there with a TypeError, the
 * very first one, unless their caller gives the key.
 *
 * @param service ts-proto's definition.
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function idempotencyKey<Service extends ServiceDefinition>(
  service: Service,
  options: IdempotencyKeyMiddlewareOptions<NoInfer<Service>>,
): ClientMiddleware<IdempotencyKeyCallOptions> {
  const problems = [
    ...serviceProblems(service),
    ...checkOptions(options, OPTIONS),
    ...namesProblems(service, options?.methods),
  ];
  if (problems.length > 0) throw new TypeError(`idempotencyKey: ${problems.join("; ")}`);
  const layers = { idempotencyKey: outsideOfAttempts(idempotencyKeyLayer(options.random ?? systemRandom)) };
  const methods = new Map<string, NiceMethod>(
    namedMethods(service, options.methods).map((method) => [method.path, aroundNice(method, layers, systemClock)]),
  );
  return niceMiddleware(({ path }) => methods.get(path), OWN_OPTIONS);
}

/** Lets no attempt pass, the first one neither, unless its caller has given the key that all of them have. */
function outsideOfAttempts(layer: Layer): Layer {
  return {
    unary(next, method) {
      const withKey = layer.unary(next, method);
      return (call) => {
        const { options, metadata } = call;
        const given = options.idempotencyKey ?? metadata?.get(IDEMPOTENCY_KEY);
        if (given === undefined && isAttempt(options)) return Promise.reject(insideOf(method.path));
        return withKey(call);
      };
    },
    stream: (next) => next,
  };
}

function insideOf(path: string): TypeError {
  return new TypeError(
    `${path}: idempotencyKey() stands inside of what repeats calls, and would give each attempt another key; use() it after retry() and hedge()`,
  );
}
