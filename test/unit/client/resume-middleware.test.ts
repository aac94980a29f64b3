import { expect, test } from "vitest";
import { type ResumeMiddlewareOptions, resume } from "../../../src/client/middlewares/resume-middleware.ts";
import { type StallMiddlewareOptions, stall } from "../../../src/client/middlewares/stall-middleware.ts";

const methods = ["/shop.Orders/Watch"];
const fields = { methods, requestField: "afterRevision", cursorField: "revision" };
const anything = (options: unknown) => options as ResumeMiddlewareOptions & StallMiddlewareOptions;

test.each<[ResumeMiddlewareOptions, string]>([
  [anything({ methods, cursorField: "r" }), "requestField is missing: name the field of the generated message"],
  [anything({ methods, requestField: "r" }), "cursorField is missing: name the field of the generated message"],
  [{ ...fields, requestField: "" }, 'requestField must be a name; it is ""'],
  [anything({ ...fields, limitField: 5 }), "limitField must be a name; it is 5"],
  [
    anything({ ...fields, cursorType: "int32" }),
    'cursorType must be int64 or uint64 or string or bytes; it is "int32"',
  ],
  [
    anything({ ...fields, methods: "/a/B" }),
    'methods must be an array of paths, such as /package.Service/Method; it is "/a/B"',
  ],
  [
    { ...fields, methods: ["WatchOrders"] },
    'methods must be an array of paths, such as /package.Service/Method; it is ["WatchOrders"]',
  ],
  [anything({ ...fields, fromStart: 1 }), "fromStart must be true or false; it is 1"],
  [{ ...fields, maxFailures: 0 }, "maxFailures must be a whole number of at least 1; it is 0"],
  [{ ...fields, initialBackoffMs: -1 }, "initialBackoffMs must be greater than zero; it is -1 ms"],
  [{ ...fields, retryBudget: { ratio: 2 } }, "retryBudget.ratio must be a ratio above 0 and at most 1; it is 2"],
  [anything({ ...fields, clock: 5 }), "clock must be an object; it is 5"],
  [
    anything({ jitter: "none", maxFailures: 0 }),
    [
      'jitter must be full or equal or decorrelated or a6; it is "none"',
      "methods is missing: name the streams, by path",
      "requestField is missing: name the field of the generated message",
      "cursorField is missing: name the field of the generated message",
      "maxFailures must be a whole number of at least 1; it is 0",
    ].join("; "),
  ],
])("resume refuses %j", (options, problems) => {
  expect(() => resume(options)).toThrow(new TypeError(`resume: ${problems}`));
});

test.each<[StallMiddlewareOptions, string]>([
  [anything({ methods }), "field is missing: name the field of the generated message"],
  [anything({ methods, field: 5 }), "field must be a name; it is 5"],
  [anything({ methods, field: "heartbeat", intervalMs: "1" }), 'intervalMs must be a number; it is "1"'],
  [{ methods, field: "heartbeat", missed: 0 }, "missed must be a whole number of at least 1; it is 0"],
  [
    anything({ field: "", missed: 0, observer: 5 }),
    [
      'field must be a name; it is ""',
      "observer must be a function; it is 5",
      "methods is missing: name the streams, by path",
      "missed must be a whole number of at least 1; it is 0",
    ].join("; "),
  ],
])("stall refuses %j", (options, problems) => {
  expect(() => stall(options)).toThrow(new TypeError(`stall: ${problems}`));
});

test("neither takes what is no option, or no options", () => {
  expect(() => resume(anything({ ...fields, cursor: "r" }))).toThrow(/^resume: there is no option cursor; there are/);
  expect(() => stall(anything({ field: "h", cursor: "r" }))).toThrow(/^stall: there is no option cursor; there are/);
  expect(() => resume(anything(null))).toThrow(/^resume: the options must be an object; they are null/);
  expect(() => stall(anything(null))).toThrow(/^stall: the options must be an object; they are null/);
});
