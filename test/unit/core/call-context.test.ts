import { describe, expect, test } from "vitest";
import { type CallContext, currentCall, detached, runInCall } from "../../../src/core/call-context.ts";

const outer = { peer: "outer" } as CallContext;
const inner = { peer: "inner" } as CallContext;

describe("currentCall", () => {
  test("is undefined outside of a call", () => {
    expect(currentCall()).toBeUndefined();
  });

  test("is the call that is being served, also after an await", async () => {
    const seen = await runInCall(outer, async () => {
      const before = currentCall();
      await Promise.resolve();
      return [before, currentCall()];
    });
    expect(seen).toEqual([outer, outer]);
    expect(currentCall()).toBeUndefined();
  });

  test("is the innermost of calls within calls, and calls side by side do not mix", async () => {
    const serve = (context: CallContext) =>
      runInCall(context, async () => {
        await Promise.resolve();
        return currentCall();
      });
    expect(await Promise.all([serve(outer), serve(inner)])).toEqual([outer, inner]);
    expect(runInCall(outer, () => runInCall(inner, currentCall))).toBe(inner);
  });

  test("is none in work that is detached, however long it lasts", async () => {
    const seen = await runInCall(outer, async () => {
      const result = await detached(async () => {
        await Promise.resolve();
        return currentCall();
      });
      return [result, currentCall()];
    });
    expect(seen).toEqual([undefined, outer]);
  });

  test("runInCall and detached return what the work returns, and throw what it throws", () => {
    const fails = () => {
      throw new Error("from the work");
    };
    expect(runInCall(outer, () => 1)).toBe(1);
    expect(detached(() => 2)).toBe(2);
    expect(() => runInCall(outer, fails)).toThrow("from the work");
    expect(() => detached(fails)).toThrow("from the work");
  });
});
