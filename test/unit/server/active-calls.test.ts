import { describe, expect, test, vi } from "vitest";
import { ActiveCalls } from "../../../src/server/active-calls.ts";

const unary = () => ({ path: "/a.S/One", abandon: vi.fn() });
const stream = () => ({ path: "/a.S/Many", abandon: vi.fn(), drain: vi.fn() });
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("ActiveCalls", () => {
  test("counts what is added and not removed, each once", () => {
    const calls = new ActiveCalls();
    const [a, b] = [unary(), stream()];
    calls.add(a);
    calls.add(b);
    calls.add(b);
    expect(calls.count).toBe(2);
    expect(calls.paths).toEqual(["/a.S/One", "/a.S/Many"]);
    calls.remove(a);
    calls.remove(a);
    calls.remove(unary());
    expect(calls.count).toBe(1);
  });

  test("is idle at once where nothing runs", async () => {
    await expect(new ActiveCalls().idle()).resolves.toBeUndefined();
  });

  test("tells all who wait once the last is gone, and not before", async () => {
    const calls = new ActiveCalls();
    const [a, b] = [unary(), unary()];
    const idle = vi.fn();
    calls.add(a);
    calls.add(b);
    void calls.idle().then(idle);
    void calls.idle().then(idle);
    calls.remove(a);
    await turn();
    expect(idle).not.toHaveBeenCalled();
    calls.remove(b);
    await turn();
    expect(idle).toHaveBeenCalledTimes(2);
  });

  test("can be waited for again after it was idle", async () => {
    const calls = new ActiveCalls();
    const call = unary();
    calls.add(call);
    calls.remove(call);
    calls.add(call);
    const idle = vi.fn();
    void calls.idle().then(idle);
    await turn();
    expect(idle).not.toHaveBeenCalled();
    calls.remove(call);
    await turn();
    expect(idle).toHaveBeenCalledOnce();
  });

  test("drains streams alone, and gives up on all", () => {
    const calls = new ActiveCalls();
    const [a, b] = [unary(), stream()];
    calls.add(a);
    calls.add(b);
    calls.drainStreams();
    expect([b.drain.mock.calls.length, a.abandon.mock.calls.length, b.abandon.mock.calls.length]).toEqual([1, 0, 0]);
    calls.abandon();
    expect([a.abandon.mock.calls.length, b.abandon.mock.calls.length]).toEqual([1, 1]);
  });

  test("a call that is removed while it is drained disturbs nobody", () => {
    const calls = new ActiveCalls();
    const first = { path: "/a.S/Many", abandon: vi.fn(), drain: () => calls.remove(first) };
    const second = stream();
    calls.add(first);
    calls.add(second);
    calls.drainStreams();
    expect(second.drain).toHaveBeenCalledOnce();
    expect(calls.count).toBe(1);
  });
});
