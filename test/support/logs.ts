import { clientMiddleware, closeClient, createClient } from "bowline";
import { createServer } from "bowline/server";
import { type FaultProxy, type FaultRule, faultProxy } from "bowline/testing";
import { createChannel, createClientFactory } from "nice-grpc";
import { expect, onTestFinished } from "vitest";
import {
  LogService,
  type LogServiceClient,
  type LogServiceHandlers,
} from "../fixtures/positions/gen/positions/v1/positions.contract.ts";

/** One server of a log and one fault proxy before it, for tests that each bring their handlers and their faults. */
export class ServedLog {
  readonly #server = createServer({ drainOn: [], validation: false, authenticate: false });
  #proxy: FaultProxy | undefined;
  #given: Partial<LogServiceHandlers> = {};

  async start(): Promise<void> {
    const given = <Key extends keyof LogServiceHandlers>(key: Key): LogServiceHandlers[Key] =>
      this.#given[key] ?? expect.unreachable(`${key} is not in this test`);
    this.#server.add(LogService, {
      readEntries: (request, context) => given("readEntries")(request, context),
      watchChanges: (request, context) => given("watchChanges")(request, context),
      followEntries: (request, context) => given("followEntries")(request, context),
    });
    const port = await this.#server.listen("127.0.0.1:0");
    this.#proxy = await faultProxy(`127.0.0.1:${port}`, { seed: 1 }).script();
  }

  /** @returns what to dial. */
  async serve(given: Partial<LogServiceHandlers>, ...rules: FaultRule[]): Promise<string> {
    const proxy = this.#proxy ?? expect.unreachable("it was started");
    this.#given = given;
    await proxy.script(...rules);
    return proxy.target;
  }

  async stop(): Promise<void> {
    await this.#proxy?.close();
    await this.#server.drain({ timeoutMs: 1 });
  }
}

/** The ways to a client of a log, until the test is over. */
export const logWays: Record<string, (target: string) => LogServiceClient> = {
  createClient(target) {
    const logs = createClient(LogService, target);
    onTestFinished(() => closeClient(logs));
    return logs;
  },
  clientMiddleware(target) {
    const channel = createChannel(target);
    onTestFinished(() => channel.close());
    const factory = createClientFactory().use(clientMiddleware(LogService));
    // nice-grpc's client differs in types alone.
    return factory.create(LogService.definition, channel) as unknown as LogServiceClient;
  },
};
