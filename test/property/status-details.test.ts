import { RpcError, type StatusDetail, toAny } from "bowline";
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
