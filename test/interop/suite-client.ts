import { type ClientOptions, closeClient, createClient } from "bowline";
import type { Contract } from "bowline/runtime/v1";
import { countingRelay } from "./counting-relay.ts";
import { TestService, type TestServiceClient } from "./gen/grpc/testing/test.contract.ts";

/** Bowline's clients of one server, closed together. */
export class SuiteClient implements Disposable {
  /** What most cases call. */
  readonly tests: TestServiceClient;
  readonly #port: number;
  readonly #options: ClientOptions;
  readonly #opened: object[] = [];

  constructor(port: number, options: ClientOptions) {
    this.#port = port;
    this.#options = options;
    this.tests = this.open(TestService);
  }

  /** A client with a channel of its own. */
  open<Client extends object>(
    contract: Contract<Contract["definition"], Client, unknown>,
    more: ClientOptions = {},
    port = this.#port,
  ): Client {
    const client = createClient(contract, `127.0.0.1:${port}`, { ...this.#options, ...more } as object);
    this.#opened.push(client);
    return client;
  }

  /** How many bytes are on the wire, up and down, while something is done with a client of its own. */
  async bytesOnWire(
    work: (tests: TestServiceClient) => Promise<void>,
    more: ClientOptions = {},
  ): Promise<{ readonly up: number; readonly down: number }> {
    await using relay = await countingRelay(this.#port);
    await work(this.open(TestService, more, relay.port));
    return { up: relay.up, down: relay.down };
  }

  [Symbol.dispose](): void {
    for (const client of this.#opened.splice(0)) closeClient(client);
  }
}
