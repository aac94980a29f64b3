import { expect, onTestFinished, test } from "vitest";
import { HedgeSignal } from "../../../src/client/layers/hedge-signal.ts";

test("is aborted once, with its reason, and tells each listener once", () => {
  const told: string[] = [];
  const cancellation = new HedgeSignal();
  const { signal } = cancellation;
  signal.addEventListener("abort", () => told.push("one"), { once: true });
  signal.addEventListener("abort", () => told.push("two"), { once: true });
  expect([signal.aborted, signal.reason]).toEqual([false, undefined]);
  cancellation.abort("gone");
  cancellation.abort("again");
  expect([signal.aborted, signal.reason, told]).toEqual([true, "gone", ["one", "two"]]);
});

test("tells no listener that was taken off, before or meanwhile no other less", () => {
  const told: string[] = [];
  const cancellation = new HedgeSignal();
  const { signal } = cancellation;
  const [one, two, three] = ["one", "two", "three"].map((name) => () => void told.push(name));
  for (const listener of [one, two, three]) signal.addEventListener("abort", listener as () => void);
  signal.removeEventListener("abort", two as () => void);
  signal.removeEventListener("abort", () => {});
  cancellation.abort("gone");
  expect(told).toEqual(["one", "three"]);
});

test("a listener that throws keeps none of the others from hearing of it", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  const told: string[] = [];
  const cancellation = new HedgeSignal();
  cancellation.signal.addEventListener("abort", () => {
    throw new Error("a mistake");
  });
  cancellation.signal.addEventListener("abort", () => told.push("told"));
  cancellation.abort("gone");
  expect(told).toEqual(["told"]);
  await expect.poll(() => warnings.map(({ message }) => message)).toEqual([expect.stringContaining("a mistake")]);
});
