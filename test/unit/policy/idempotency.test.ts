import { describe, expect, test } from "vitest";
import {
  type ClaimTerms,
  claim,
  complete,
  type IdempotencyRecord,
  release,
  renew,
} from "../../../src/policy/idempotency.ts";

const terms: ClaimTerms = { fingerprint: "a", leaseMs: 100, ttlMs: 1_000 };
const answer = new Uint8Array([1]);

/** The record of a claim at an instant. */
function claimedAt(now: number, known?: IdempotencyRecord): IdempotencyRecord {
  return claim(known, terms, now).record ?? expect.unreachable();
}

describe("a lease", () => {
  const record = claimedAt(50);

  test.each<[number, string]>([
    [50, "running"],
    [149.9, "running"],
    [150, "claimed"],
  ])("from 50 for 100 ms: at %d it is %s", (now, state) => {
    expect(claim(record, terms, now).outcome.state).toBe(state);
  });

  test("says how long it still holds", () => {
    expect(claim(record, terms, 120).outcome).toEqual({ state: "running", leaseMs: 30 });
  });

  test("is taken over with a greater token, and the old one is worth nothing", () => {
    const { outcome, record: next } = claim(record, terms, 150);
    expect(outcome).toEqual({ state: "claimed", token: 150_000, takenOver: true });
    expect(record.token).toBe(50_000);
    expect(renew(next, record.token, terms, 151)).toBeUndefined();
    expect(complete(next, record.token, answer, terms, 151)).toBeUndefined();
    expect(release(next, record.token)).toBeUndefined();
  });

  test("has greater tokens also where the clock stands still or goes back", () => {
    const stale: IdempotencyRecord = { ...record, leaseEndsAt: 0, token: 9_000_000 };
    expect(claim(stale, terms, 50).outcome).toMatchObject({ token: 9_000_001 });
    const released = release(record, record.token);
    expect(claim(released, terms, 50).outcome).toEqual({ state: "claimed", token: 50_001, takenOver: false });
  });

  test("is renewed from now on, also when it was over", () => {
    expect(renew(record, record.token, terms, 170)).toMatchObject({ leaseEndsAt: 270, expiresAt: 1_270 });
  });
});

describe("an answer", () => {
  const record = claimedAt(0);
  const done = complete(record, record.token, answer, terms, 40) ?? expect.unreachable();

  test.each<[number, string]>([
    [40, "answered"],
    [1_039.9, "answered"],
    [1_040, "claimed"],
  ])("at 40 for 1,000 ms: at %d it is %s", (now, state) => {
    expect(claim(done, terms, now).outcome.state).toBe(state);
  });

  test("of another request is a conflict, as long as there is one", () => {
    const other = { ...terms, fingerprint: "b" };
    expect(claim(record, other, 99).outcome.state).toBe("conflict");
    expect(claim(record, other, 100).outcome.state).toBe("conflict");
    expect(claim(done, other, 1_039).outcome.state).toBe("conflict");
    expect(claim(done, other, 1_040).outcome).toMatchObject({ state: "claimed", takenOver: false });
    expect(claim(release(record, record.token), other, 1).outcome.state).toBe("claimed");
  });

  test("is the first, whatever its owner says after it", () => {
    expect(complete(done, done.token, new Uint8Array([2]), terms, 50)).toBe(done);
    expect(renew(done, done.token, terms, 50)).toBe(done);
    expect(release(done, done.token)).toBeUndefined();
  });
});

test("nobody owns what is not there", () => {
  expect(renew(undefined, 1, terms, 0)).toBeUndefined();
  expect(complete(undefined, 1, answer, terms, 0)).toBeUndefined();
  expect(release(undefined, 1)).toBeUndefined();
});

test("what is decided changes nothing that was given", () => {
  const record = Object.freeze(claimedAt(0));
  claim(record, terms, 200);
  renew(record, record.token, terms, 10);
  complete(record, record.token, answer, terms, 10);
  release(record, record.token);
  expect(claim(record, terms, 10).record).toBeUndefined();
});
