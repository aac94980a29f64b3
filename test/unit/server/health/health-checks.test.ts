import { fakeClock } from "bowline/testing";
import { describe, expect, test, vi } from "vitest";
import { Health as HealthContract } from "../../../../gen/health/v1/health.contract.ts";
import { OrderService } from "../../../../gen/shop/orders/v1/orders.contract.ts";
import { UserService } from "../../../../gen/shop/users/v1/users.contract.ts";
import type { HealthCheckOptions } from "../../../../src/server/health/check-options.ts";
import { CheckRunner } from "../../../../src/server/health/check-runner.ts";
import { Health } from "../../../../src/server/health/health.ts";

const [A, B] = [OrderService, UserService] as const;

/** The health of a server with two services, and a check that is well or not. */
function server(...checks: [name: string, options: HealthCheckOptions][]) {
  const clock = fakeClock();
  const runner = new CheckRunner({ clock, maxConcurrent: 4 });
  const health = new Health(runner);
  health.add(A.name);
  health.add(B.name);
  const well: Record<string, boolean> = {};
  for (const [name, options] of checks) {
    health.check(name, () => well[name] ?? true, { intervalMs: 100, ...options });
  }
  const statuses = () => ["", A.name, B.name].map((service) => health.get(service) === "SERVING");
  const set = async (name: string, isWell: boolean) => {
    well[name] = isWell;
    await clock.advance(100);
  };
  return { clock, runner, health, statuses, set };
}

test("until a check has passed for the first time, what depends on it is NOT_SERVING", async () => {
  const { clock, runner, statuses, health } = server(["of-a", { services: [A] }]);
  expect(statuses()).toEqual([false, false, true]);
  expect([...health.list().values()]).toEqual(["NOT_SERVING", "NOT_SERVING", "SERVING"]);
  runner.start();
  await clock.advance(0);
  expect(statuses()).toEqual([true, true, true]);
  runner.stop();
});

test("a deep check takes its services down and the server as a whole, and heals them", async () => {
  const { runner, statuses, set } = server(["of-a", { services: [A] }], ["of-all", {}]);
  runner.start();
  await set("of-a", false);
  expect(statuses()).toEqual([false, false, true]);
  await set("of-all", false);
  expect(statuses()).toEqual([false, false, false]);
  await set("of-all", true);
  expect(statuses()).toEqual([false, false, true]);
  await set("of-a", true);
  expect(statuses()).toEqual([true, true, true]);
  runner.stop();
});

test("a business check takes nothing down", async () => {
  const { runner, health, statuses, set } = server(["order", { depth: "business" }]);
  expect(statuses()).toEqual([true, true, true]);
  runner.start();
  void runner.refreshed(runner.checks[0] ?? expect.unreachable());
  await set("order", false);
  await runner.refreshed(runner.checks[0] ?? expect.unreachable());
  expect(health.results()).toMatchObject([{ name: "order", depth: "business", status: "failing" }]);
  expect(statuses()).toEqual([true, true, true]);
  runner.stop();
});

test("NOT_SERVING that was set holds whatever checks say; with SERVING they decide", async () => {
  const { clock, runner, health, statuses, set } = server(["of-all", {}]);
  runner.start();
  await clock.advance(0);
  health.set(A.name, "NOT_SERVING");
  expect(statuses()).toEqual([true, false, true]);
  await set("of-all", false);
  health.set(A.name, "SERVING");
  expect(statuses()).toEqual([false, false, false]);
  health.set("", "NOT_SERVING");
  await set("of-all", true);
  expect(statuses()).toEqual([false, true, true]);
  health.set("", "SERVING");
  expect(statuses()).toEqual([true, true, true]);
  runner.stop();
});

test("those who watch are told of changes alone", async () => {
  const { clock, runner, health, set } = server(["of-a", { services: [A] }], ["of-all", {}]);
  runner.start();
  await clock.advance(0);
  const { signal } = new AbortController();
  const [ofA, ofB] = [vi.fn(), vi.fn()];
  void health.changed(A.name, signal).then(ofA);
  void health.changed(B.name, signal).then(ofB);
  await set("of-a", true);
  expect([ofA.mock.calls.length, ofB.mock.calls.length]).toEqual([0, 0]);
  await set("of-a", false);
  expect([ofA.mock.calls.length, ofB.mock.calls.length]).toEqual([1, 0]);
  void health.changed(A.name, signal).then(ofA);
  await set("of-all", false);
  expect([ofA.mock.calls.length, ofB.mock.calls.length]).toEqual([1, 1]);
  runner.stop();
});

test("from a drain on everything is NOT_SERVING, and no check changes that", async () => {
  const { clock, runner, health, statuses } = server(["of-all", {}]);
  runner.start();
  await clock.advance(0);
  health.shutDown();
  health.check("late", () => true);
  health.set("", "SERVING");
  await clock.advance(10_000);
  expect([statuses(), health.draining, clock.pending]).toEqual([[false, false, false], true, 0]);
  expect(health.results().map(({ name, status }) => [name, status])).toEqual([
    ["of-all", "passing"],
    ["late", "pending"],
  ]);
});

test("a check that is added while the server serves takes its services down until it has passed", async () => {
  const { clock, runner, health, statuses } = server();
  runner.start();
  expect(statuses()).toEqual([true, true, true]);
  health.check("late", () => true, { services: [B] });
  expect(statuses()).toEqual([false, true, false]);
  await clock.advance(0);
  expect(statuses()).toEqual([true, true, true]);
  runner.stop();
});

describe("a status of a service that the server does not have", () => {
  const problem = (service: string, has: string) =>
    `health.set: service must be one that was added to the server, which has ${has}; it is "${service}"`;

  test("is told before the server serves, with what is wrong with checks", () => {
    const health = new Health(new CheckRunner({ clock: fakeClock() }));
    health.check("of-a", () => true, { services: [A] });
    health.set("b.Typo", "NOT_SERVING");
    health.set(B.name, "NOT_SERVING");
    health.set("", "NOT_SERVING");
    health.add(B.name);
    const has = `"", "${B.name}"`;
    expect(health.problems()).toEqual([
      `health.check("of-a"): services has ${A.name}, which was not added to the server`,
      problem("b.Typo", has),
    ]);
  });

  test("is refused when the server serves already, in a drain too, and says nothing", () => {
    const { runner, health } = server();
    runner.start();
    const set = () => health.set("b.Typo", "NOT_SERVING");
    const refused = new TypeError(problem("b.Typo", `"", "${A.name}", "${B.name}"`));
    expect(set).toThrow(refused);
    expect(health.get("b.Typo")).toBeUndefined();
    expect(health.problems()).toEqual([]);
    health.shutDown();
    expect(set).toThrow(refused);
  });

  test("holds once it is there", () => {
    const health = new Health(new CheckRunner({ clock: fakeClock() }));
    health.set(A.name, "NOT_SERVING");
    health.add(A.name);
    expect([health.get(A.name), health.problems()]).toEqual(["NOT_SERVING", []]);
    health.set(A.name, "SERVING");
    expect(health.get(A.name)).toBe("SERVING");
  });

  test("that is added in a drain is NOT_SERVING", () => {
    const { runner, health } = server();
    runner.start();
    health.shutDown();
    health.add("c.Late");
    expect(health.get("c.Late")).toBe("NOT_SERVING");
  });
});

describe("a check of a service that the server does not have", () => {
  const problem = (check: string, service: string) =>
    `health.check("${check}"): services has ${service}, which was not added to the server`;

  test("is told before the server serves, all of them at once", () => {
    const health = new Health(new CheckRunner({ clock: fakeClock() }));
    health.check("of-a", () => true, { services: [A] });
    health.check("of-all", () => true);
    health.check("of-both", () => true, { services: [A, B] });
    health.add(B.name);
    expect(health.problems()).toEqual([problem("of-a", A.name), problem("of-both", A.name)]);
    health.add(A.name);
    expect(health.problems()).toEqual([]);
  });

  test("is refused when the server serves already", () => {
    const { runner, health } = server();
    runner.start();
    expect(() => health.check("late", () => true, { services: [A, HealthContract], timeoutMs: 0 })).toThrow(
      new TypeError(
        'health.check("late"): timeoutMs must be greater than zero; it is 0; ' +
          "services has grpc.health.v1.Health, which was not added to the server",
      ),
    );
    expect(health.results()).toEqual([]);
    runner.stop();
  });
});
