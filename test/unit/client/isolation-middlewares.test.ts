import { expect, test } from "vitest";
import {
  type AdaptiveLimitMiddlewareOptions,
  adaptiveLimit,
  type BulkheadMiddlewareOptions,
  bulkhead,
  type ThrottleMiddlewareOptions,
  throttle,
} from "../../../src/client/middlewares/isolation-middlewares.ts";

type Any = BulkheadMiddlewareOptions & AdaptiveLimitMiddlewareOptions & ThrottleMiddlewareOptions;

const anything = (options: unknown) => options as Any;
const makers = { bulkhead, adaptiveLimit, throttle };

test.each<[keyof typeof makers, Any, string]>([
  ["bulkhead", { maxConcurrent: 0 }, "maxConcurrent must be a whole number of at least 1; it is 0"],
  ["bulkhead", anything({ maxQueued: "3", maxWaitMs: 5 }), 'maxQueued must be a number; it is "3"'],
  ["bulkhead", anything({ maxConcurrent: "3" }), 'maxConcurrent must be a number; it is "3"'],
  ["bulkhead", { maxQueued: -1 }, "maxQueued must be a whole number of at least 0; it is -1"],
  ["bulkhead", { maxQueued: 1, maxWaitMs: 0 }, "maxWaitMs must be greater than zero; it is 0 ms"],
  ["bulkhead", { maxWaitMs: 5 }, "maxWaitMs has no effect, since none may wait: set maxQueued, or leave it out"],
  ["adaptiveLimit", { minLimit: 0 }, "minLimit must be a whole number of at least 1; it is 0"],
  ["adaptiveLimit", { smoothing: 0 }, "smoothing must be a ratio above 0 and at most 1; it is 0"],
  ["adaptiveLimit", anything({ tolerance: "2" }), 'tolerance must be a number; it is "2"'],
  ["throttle", { windowMs: 0 }, "windowMs must be greater than zero; it is 0 ms"],
  ["throttle", anything({ random: 5 }), "random must be a function; it is 5"],
  ["throttle", anything({ observer: 5 }), "observer must be a function; it is 5"],
  ["throttle", anything({ clock: 5 }), "clock must be an object; it is 5"],
  ["throttle", anything(null), "the options must be an object; they are null"],
  [
    "bulkhead",
    anything({ maxConcurrent: 1.5, maxQueued: "1", observer: {} }),
    [
      'maxQueued must be a number; it is "1"',
      "observer must be a function; it is [object Object]",
      "maxConcurrent must be a whole number of at least 1; it is 1.5",
    ].join("; "),
  ],
])("%s refuses %j", (name, options, problems) => {
  expect(() => makers[name](options)).toThrow(new TypeError(`${name}: ${problems}`));
});

test.each(Object.entries(makers))("%s refuses what is no option, and does with none", (name, make) => {
  expect(() => make(anything({ max: 3 }))).toThrow(new RegExp(`^${name}: there is no option max; there are `));
  expect(() => make()).not.toThrow();
});
