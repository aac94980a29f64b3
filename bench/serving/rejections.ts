import { protovalidate } from "bowline/validate";
import { order } from "../message.ts";
import { knownCaller, type Variant } from "./served.ts";
import { forgedTokens, sameToken } from "./tokens.ts";
import { turnsPerMs, work } from "./work.ts";

/** A way to reject calls. */
export interface Rejecting extends Variant {
  /** Whether one must cost less than a tenth of a call that does 1 ms of work, as those that overload causes must. */
  readonly gated: boolean;
}

/** What rejections are measured against, by name. */
export const WORK = "work";

/** A call that does work, and rejections, by name; each is made in a process of its own. */
export const rejections: Readonly<Record<string, Rejecting>> = {
  [WORK]: {
    title: "OK, after 1 ms of work",
    gated: false,
    serve: () => {
      const turns = turnsPerMs();
      const createOrder = async () => {
        work(turns);
        return order;
      };
      return { createOrder };
    },
  },
  overRate: {
    title: "over its rate: RESOURCE_EXHAUSTED",
    gated: false,
    serve: () => ({
      options: { rateLimit: { calls: 1, perMs: 3_600_000 } },
      calls: { ahead: 1, answer: "RESOURCE_EXHAUSTED" },
    }),
  },
  shed: {
    title: "shed: RESOURCE_EXHAUSTED",
    gated: true,
    serve: () => ({
      options: { shed: { maxConcurrent: 1, loopDelayMs: 10_000 } },
      createOrder: () => new Promise(() => {}),
      calls: { ahead: 1, answer: "RESOURCE_EXHAUSTED" },
    }),
  },
  noToken: {
    title: "without a token: UNAUTHENTICATED",
    gated: false,
    serve: async () => ({
      options: { authenticate: (await sameToken()).authenticate },
      calls: { answer: "UNAUTHENTICATED" },
    }),
  },
  forged: {
    title: "with a forged token, whose signature has to be checked: UNAUTHENTICATED",
    gated: false,
    serve: async () => {
      const { authenticate, tokens } = await forgedTokens();
      return { options: { authenticate }, calls: { tokens, answer: "UNAUTHENTICATED" } };
    },
  },
  noScope: {
    title: "without the scope: PERMISSION_DENIED",
    gated: false,
    serve: () => ({
      options: { authenticate: knownCaller },
      scopes: ["orders.none"],
      calls: { answer: "PERMISSION_DENIED" },
    }),
  },
  invalid: {
    title: "with a request that breaks a constraint: INVALID_ARGUMENT",
    gated: false,
    serve: () => ({
      options: { validation: protovalidate() },
      calls: { request: "wrong", answer: "INVALID_ARGUMENT" },
    }),
  },
};
