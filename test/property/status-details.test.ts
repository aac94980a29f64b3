import { type FailOptions, fail, RpcError, type StatusDetail, type StatusDetailInit, toAny } from "bowline";
import fc from "fast-check";
import { Metadata } from "nice-grpc-common";
import { expect, test } from "vitest";
import { fromAny } from "../../src/core/status-detail-codec.ts";
import { readAny, toEs, writeDetail, writeStatus } from "../support/rpc-types.ts";

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const labels = fc.dictionary(text, text, { maxKeys: 4 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const localized = { locale: text, message: text };

function listOf<T>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(one, { maxLength: 4 });
}

function detail<T extends string, Fields extends object>($type: T, fields: fc.Arbitrary<Fields>) {
  return fields.map((given) => ({ $type, ...given }));
}

const violation = fc
  .record({ field: text, description: text, reason: text }, {})
  .chain((fields) =>
    fc.record({ localizedMessage: fc.record(localized) }, { requiredKeys: [] }).map((more) => ({ ...fields, ...more })),
  );
const quota = fc
  .record({ subject: text, description: text, apiService: text, quotaMetric: text, quotaId: text })
  .chain((fields) =>
    fc
      .tuple(
        fc.record({ quotaDimensions: labels, quotaValue: int64 }),
        fc.record({ futureQuotaValue: int64 }, { requiredKeys: [] }),
      )
      .map(([more, optional]) => ({ ...fields, ...more, ...optional })),
  );

/** Every type, every field; whole microseconds, which a number holds exactly. */
const details: fc.Arbitrary<StatusDetail> = fc.oneof(
  detail("google.rpc.ErrorInfo", fc.record({ reason: text, domain: text, metadata: labels })),
  detail(
    "google.rpc.RetryInfo",
    fc.record(
      { retryDelayMs: fc.integer({ min: -1e9, max: 1e9 }).map((micros) => micros / 1_000) },
      { requiredKeys: [] },
    ),
  ),
  detail("google.rpc.DebugInfo", fc.record({ stackEntries: listOf(text), detail: text })),
  detail("google.rpc.QuotaFailure", fc.record({ violations: listOf(quota) })),
  detail(
    "google.rpc.PreconditionFailure",
    fc.record({ violations: listOf(fc.record({ type: text, subject: text, description: text })) }),
  ),
  detail("google.rpc.BadRequest", fc.record({ fieldViolations: listOf(violation) })),
  detail("google.rpc.RequestInfo", fc.record({ requestId: text, servingData: text })),
  detail(
    "google.rpc.ResourceInfo",
    fc.record({ resourceType: text, resourceName: text, owner: text, description: text }),
  ),
  detail("google.rpc.Help", fc.record({ links: listOf(fc.record({ description: text, url: text })) })),
  detail("google.rpc.LocalizedMessage", fc.record(localized)),
);

test("what we write, protobuf-es reads; what it writes, we read", () => {
  fc.assert(
    fc.property(details, (detail) => {
      const { $type, ...fields } = detail;
      expect(fromAny({ typeUrl: `example.com/${$type}`, value: writeDetail(detail) })).toEqual(detail);
      expect(readAny(toAny(detail))).toEqual(toEs(fields));
      expect(fromAny(toAny(detail))).toEqual(detail);
    }),
    { numRuns: 500 },
  );
});

/** Details of all sizes, up to several times what a trailer takes. */
const sized: fc.Arbitrary<StatusDetailInit> = fc.oneof(
  fc.integer({ min: 0, max: 9_000 }).map((length) => {
    return { $type: "google.rpc.DebugInfo", detail: "d".repeat(length) } as const;
  }),
  fc.tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 300 })).map(([count, length]) => {
    const fieldViolations = Array.from({ length: count }, (_, n) => ({ field: `f${n}`, reason: "r".repeat(length) }));
    return { $type: "google.rpc.BadRequest", fieldViolations } as const;
  }),
);

test("whatever is said, status and trailers keep to 7 KiB, unless the text alone is larger", () => {
  const said = fc.tuple(fc.string({ maxLength: 3_000 }), fc.string({ unit: "grapheme", maxLength: 50 }));
  fc.assert(
    fc.property(said, fc.array(sized, { maxLength: 4 }), ([note, message], statusDetails) => {
      const trailer = { "x-note": note.replaceAll(/[^ -~]/g, "?") };
      const { sendTrailer = {} } = refusal(message, { statusDetails, trailer });
      const sizes = Object.entries(sendTrailer).map(([key, value]) => {
        return key.length + 32 + (typeof value === "string" ? value.length : Math.ceil(value.length / 3) * 4);
      });
      const all = sizes.reduce((sum, size) => sum + size, encodeURI(message.toWellFormed()).length);
      expect(all).toBeLessThanOrEqual(7 * 1_024);
      const kept = new RpcError({ path: "", reason: "REFUSED", details: message, sendTrailer }).statusDetails;
      expect(statusDetails.map(({ $type }) => $type)).toEqual(expect.arrayContaining(kept.map(({ $type }) => $type)));
    }),
    { numRuns: 100 },
  );
});

/** What `fail` throws. */
function refusal(message: string, options: FailOptions): RpcError {
  try {
    return fail("ABORTED", message, options);
  } catch (error) {
    return error as RpcError;
  }
}

test("bytes that were damaged are details or none, and never an error", () => {
  const damaged = fc.tuple(details, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([detail, at, byte]) => {
    const bytes = Uint8Array.from(writeStatus(5, "no", toAny(detail)));
    bytes[at % bytes.length] = byte;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      const trailer = new Metadata({ "grpc-status-details-bin": bytes });
      const error = new RpcError({ path: "", reason: "STATUS", details: "no", trailer });
      for (const { $type } of error.statusDetails) expect($type).toMatch(/^google\./);
      expect(error.trailer?.get("grpc-status-details-bin")).toBe(bytes);
      JSON.stringify(error);
    }),
    { numRuns: 1_000 },
  );
});
