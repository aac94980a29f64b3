import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { bearer } from "../../../src/client/credentials/bearer.ts";
import {
  type CachedTokenOptions,
  cachedToken,
  type IssuedToken,
} from "../../../src/client/credentials/cached-token.ts";
import { currentCall, runInCall } from "../../../src/core/call-context.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { rejection } from "../../support/orders.ts";

const LIFE_MS = 600_000;
const never = new AbortController().signal;

/** Tokens that a test gives out: `t1`, `t2` … */
function issuing(options: CachedTokenOptions = {}) {
  const clock = fakeClock();
  const asked: PromiseWithResolvers<IssuedToken>[] = [];
  const signals: AbortSignal[] = [];
  const calls: unknown[] = [];
  const errors: unknown[] = [];
  const source = cachedToken(
    (signal) => {
      signals.push(signal);
      calls.push(currentCall());
      asked.push(Promise.withResolvers());
      return (asked.at(-1) as PromiseWithResolvers<IssuedToken>).promise;
    },
    { clock, onRefreshError: (error) => errors.push(error), ...options },
  );
  const give = async (index: number) => {
    asked[index]?.resolve({ token: `t${index + 1}`, expiresAt: clock.wallTime() + LIFE_MS });
    await clock.advance(0);
  };
  const fail = async (index: number) => {
    asked[index]?.reject(new Error(`no ${index + 1}`));
    await clock.advance(0);
  };
  return { clock, asked, signals, calls, errors, source, give, fail, token: async () => source.token(never) };
}

test("one fetch serves all who wait, and then nobody waits", async () => {
  const { asked, source, give, token } = issuing();
  const waiting = [token(), token(), token()];
  await give(0);
  expect(await Promise.all(waiting)).toEqual(["t1", "t1", "t1"]);
  expect(source.token(never)).toBe("t1");
  expect(asked).toHaveLength(1);
});

test("it is fetched for all, not as a part of the first one's call", async () => {
  const { calls, give, source } = issuing();
  const first = runInCall({} as never, () => source.token(never));
  await give(0);
  await first;
  expect(calls).toEqual([undefined]);
});

test("an application's own context, too, is that in which it was made, and no caller's", async () => {
  const session = new AsyncLocalStorage<string>();
  const clock = fakeClock();
  const seen: unknown[] = [];
  const fetch = async () => {
    seen.push(["fetched", session.getStore(), currentCall()]);
    if (seen.length > 1) throw new Error("away");
    return { token: "t", expiresAt: clock.wallTime() + LIFE_MS };
  };
  const onRefreshError = () => seen.push(["told", session.getStore(), currentCall()]);
  // Made while serving a call, as where it is made when it is first needed.
  const source = runInCall({} as never, () =>
    session.run("maker", () => cachedToken(fetch, { clock, onRefreshError })),
  );
  const asked = () => runInCall({} as never, () => session.run("caller", () => source.token(never)));
  await asked();
  await clock.advance(LIFE_MS - 1);
  await asked();
  await clock.advance(0);
  expect(seen).toEqual([
    ["fetched", "maker", undefined],
    ["fetched", "maker", undefined],
    ["told", "maker", undefined],
  ]);
});

describe("a refresh", () => {
  test("comes before the end, once, and nobody waits for it", async () => {
    const { clock, asked, source, give, token } = issuing({ refreshBeforeMs: 60_000 });
    const first = token();
    await give(0);
    await first;
    await clock.advance(LIFE_MS - 60_001);
    expect(source.token(never)).toBe("t1");
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect([source.token(never), source.token(never)]).toEqual(["t1", "t1"]);
    expect(asked).toHaveLength(2);
    await give(1);
    expect(source.token(never)).toBe("t2");
  });

  test("that fails goes on with the old token until its end, and is tried again after a while", async () => {
    const { clock, asked, source, give, fail, token, errors } = issuing({ refreshBeforeMs: 60_000, retryMs: 1_000 });
    const first = token();
    await give(0);
    await first;
    await clock.advance(LIFE_MS - 60_000);
    source.token(never);
    await fail(1);
    expect(source.token(never)).toBe("t1");
    expect([asked.length, errors.length]).toEqual([2, 1]);
    await clock.advance(1_000);
    expect(source.token(never)).toBe("t1");
    expect(asked).toHaveLength(3);
    await fail(2);
    await clock.advance(58_999);
    expect(source.token(never)).toBe("t1");
    await fail(3);
    await clock.advance(1);
    expect(await rejection(token())).toMatchObject({ message: "no 4" });
  });

  test("of a token that lives shortly comes at half of its life", async () => {
    const { clock, asked, source, give, token } = issuing({ refreshBeforeMs: LIFE_MS * 2 });
    const first = token();
    await give(0);
    await first;
    await clock.advance(LIFE_MS / 2 - 1);
    source.token(never);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    source.token(never);
    expect(asked).toHaveLength(2);
  });
});

test("a failure is told to all who wait and to those who come soon, and then it is asked anew", async () => {
  const { asked, clock, fail, give, token } = issuing({ retryMs: 1_000 });
  const waiting = [rejection(token()), rejection(token())];
  await fail(0);
  for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ message: "no 1" });
  await clock.advance(999);
  expect(await rejection(token())).toMatchObject({ message: "no 1" });
  expect(asked).toHaveLength(1);
  await clock.advance(1);
  const next = token();
  await give(1);
  expect(await next).toBe("t2");
  expect(asked).toHaveLength(2);
});

test("a fetch that hangs is given up in time, and its signal aborts", async () => {
  const { clock, signals, token } = issuing({ timeoutMs: 5_000 });
  const waiting = rejection(token());
  await clock.advance(4_999);
  expect(signals[0]?.aborted).toBe(false);
  await clock.advance(1);
  expect(await waiting).toMatchObject({ message: "no token came in 5000 ms" });
  expect(signals[0]?.aborted).toBe(true);
});

test("a token that was refused is dropped once, and not the one that came after it", async () => {
  const { asked, source, give, token } = issuing();
  const first = token();
  await give(0);
  await first;
  source.invalidate?.("t1");
  source.invalidate?.("t1");
  const second = token();
  await give(1);
  expect(await second).toBe("t2");
  source.invalidate?.("t1");
  expect(source.token(never)).toBe("t2");
  expect(asked).toHaveLength(2);
});

test("a server that refuses all of them has no new one fetched for each call", async () => {
  const { asked, clock, source, give, token } = issuing({ retryMs: 1_000 });
  const first = token();
  await give(0);
  source.invalidate?.(await first);
  const second = token();
  await give(1);
  source.invalidate?.(await second);
  expect(source.token(never)).toBe("t2");
  await clock.advance(1_000);
  source.invalidate?.("t2");
  const third = token();
  await give(2);
  expect(await third).toBe("t3");
  expect(asked).toHaveLength(3);
});

const NOW = 1_800_000_000_000;
const UNIT = "in milliseconds since 1970";

test.each<[unknown, string]>([
  [undefined, "what was fetched must be { token, expiresAt }; it is undefined"],
  ["t1", "what was fetched must be { token, expiresAt }; it is a string"],
  [{}, "what was fetched must be { token, expiresAt }; it is an object with nothing in it"],
  [
    { access_token: "t1", expiresAt: NOW + 1 },
    "what was fetched must be { token, expiresAt }; it is an object with access_token, expiresAt",
  ],
  [{ token: 5, expiresAt: NOW + 1 }, "token must be a text; it is a number"],
  [
    { token: 5 },
    `token must be a text; it is a number; expiresAt must be when the token ends, ${UNIT}; it is undefined`,
  ],
  [{ token: "t1", expiresAt: Number.NaN }, `expiresAt must be when the token ends, ${UNIT}; it is NaN`],
  [
    { token: "t1", expiresAt: new Date(NOW) },
    `expiresAt must be when the token ends, ${UNIT}; it is an object with nothing in it`,
  ],
  [{ token: "t1", expiresAt: 1_800_000_600 }, `expiresAt must be ${UNIT}; 1800000600 is in seconds`],
  [{ token: "t1", expiresAt: 600 }, `expiresAt must be ${UNIT}; 600 is how long the token lives`],
  [{ token: "t1", expiresAt: NOW }, "expiresAt must be in the future: the token ended 0 ms ago"],
])("what is fetched as %j is no token", async (issued, problems) => {
  const clock = fakeClock({ wallTime: NOW });
  const source = cachedToken(async () => issued as IssuedToken, { clock });
  expect(await rejection(Promise.resolve(source.token(never)))).toEqual(new TypeError(`cachedToken: ${problems}`));
});

test.each<[unknown, string]>([
  [undefined, "the token must be a text; it is undefined"],
  [{ token: "t1" }, "the token must be a text; it is an object with token"],
  ["", "the token is empty"],
  ["Bearer abc", 'the token must come without "Bearer ", which is put before it'],
  ["abc\n", "the token has characters that none has (RFC 6750)"],
])("a bearer token that is %j is not sent, and not told", async (token, problem) => {
  const { headers } = bearer(() => token as string).forCall(undefined);
  const error = (await rejection((async () => headers({ signal: never } as never))())) as TypeError;
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message.startsWith(`bearer: ${problem}`)).toBe(true);
  expect(error.message).not.toContain("abc");
});

test("bad options are refused, all at once", () => {
  expect(() => cachedToken("t" as never, { retryMs: 0, refresh: 5 } as never)).toThrow(
    new TypeError(
      "cachedToken: the first argument must be a function that fetches a token; retryMs must be greater than zero; " +
        "it is 0; there is no option refresh; there are refreshBeforeMs, retryMs, timeoutMs, onRefreshError, clock",
    ),
  );
});
