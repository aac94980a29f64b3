import { describe, expect, test, vi } from "vitest";
import { Outflow, outflowOf, STREAM_BUFFER_BYTES } from "../../../src/transport/outflow.ts";

/** An outflow, and what its listener heard. */
function anOutflow() {
  const outflow = new Outflow();
  const listener = { onRoom: vi.fn(), onOver: vi.fn() };
  outflow.listen(listener);
  return { outflow, ...listener };
}

describe("Outflow", () => {
  test("is full when as much waits as is allowed, and not one byte before", () => {
    const { outflow } = anOutflow();
    outflow.add(new Uint8Array(STREAM_BUFFER_BYTES - 256 - 1));
    expect(outflow.full).toBe(false);
    outflow.add(new Uint8Array(0));
    expect(outflow.full).toBe(true);
    const exactly = new Outflow();
    exactly.add(new Uint8Array(STREAM_BUFFER_BYTES - 256));
    expect(exactly.full).toBe(true);
  });

  test("counts empty messages too", () => {
    const { outflow } = anOutflow();
    for (let message = 0; message < STREAM_BUFFER_BYTES / 256 - 1; message += 1) outflow.add(new Uint8Array(0));
    expect(outflow.full).toBe(false);
    outflow.add(new Uint8Array(0));
    expect(outflow.full).toBe(true);
  });

  test("tells that there is room again once half of it has left, the oldest first", () => {
    const { outflow, onRoom } = anOutflow();
    const half = STREAM_BUFFER_BYTES / 2 - 256;
    for (const bytes of [0, half + 1, half]) outflow.add(new Uint8Array(bytes));
    outflow.left();
    expect([outflow.full, onRoom.mock.calls.length]).toEqual([true, 0]);
    outflow.left();
    expect([outflow.full, onRoom.mock.calls.length]).toEqual([false, 1]);
  });

  test("does not tell of room while one byte too much waits", () => {
    const { outflow, onRoom } = anOutflow();
    const half = STREAM_BUFFER_BYTES / 2 - 256;
    for (const bytes of [half, half + 1]) outflow.add(new Uint8Array(bytes));
    outflow.left();
    expect([outflow.full, onRoom.mock.calls.length]).toEqual([false, 0]);
    outflow.left();
    expect(onRoom).toHaveBeenCalledOnce();
  });

  test("tells once that the call is over", () => {
    const { outflow, onOver } = anOutflow();
    expect(outflow.over).toBe(false);
    outflow.end();
    outflow.end();
    expect(outflow.over).toBe(true);
    expect(onOver).toHaveBeenCalledOnce();
  });

  test("needs no listener", () => {
    const outflow = new Outflow();
    outflow.add(new Uint8Array(STREAM_BUFFER_BYTES));
    outflow.left();
    outflow.end();
    expect([outflow.full, outflow.over]).toEqual([false, true]);
  });
});

test("an outflow belongs to a call, whoever asks for it", () => {
  const [recorder, another] = [{}, {}];
  const outflow = outflowOf({ getMetricsRecorder: () => recorder });
  expect(outflowOf({ getMetricsRecorder: () => recorder })).toBe(outflow);
  expect(outflowOf({ getMetricsRecorder: () => another })).not.toBe(outflow);
});
