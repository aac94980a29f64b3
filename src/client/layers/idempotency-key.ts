import type { Call, Layer } from "../../core/call.ts";
import { IDEMPOTENCY_KEY, keyProblem } from "../../core/idempotency.ts";
import type { Random } from "../../core/random.ts";

/**
 * Sends an idempotency key with each call, the same with all of its attempts: the caller's, or one of the call's own,
 * 128 bits of chance.
 */
export function idempotencyKeyLayer(random: Random): Layer {
  return {
    unary: (next) => (call) => {
      const key = givenKey(call) ?? freshKey(random);
      return next({ ...call, headers: { ...call.headers, [IDEMPOTENCY_KEY]: key } });
    },
    stream: (next) => next,
  };
}

/** @throws TypeError for metadata that is no key: nothing is sent then. */
function givenKey({ method, options, metadata }: Call): string | undefined {
  if (options.idempotencyKey !== undefined) return options.idempotencyKey;
  // As those send it who know nothing of the option; what is sent by this name replaces it.
  const key = metadata?.get(IDEMPOTENCY_KEY);
  if (key === undefined) return undefined;
  const problem = keyProblem(key);
  if (problem) throw new TypeError(`${method.path}: the metadata ${IDEMPOTENCY_KEY} ${problem}`);
  return String(key);
}

/** Each byte in two digits: a number's own `toString(16)` costs ten times as much. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function freshKey(random: Random): string {
  return word(random) + word(random) + word(random) + word(random);
}

/** 32 bits of chance. */
function word(random: Random): string {
  const bits = Math.floor(random() * 2 ** 32);
  return [24, 16, 8, 0].reduce((text, shift) => text + HEX[(bits >>> shift) & 255], "");
}
