import { setTimeout } from "node:timers/promises";
import { seededRandom } from "bowline/testing";
import { expect, onTestFinished, test } from "vitest";
import { GetOrderRequest } from "../../../gen/shop/orders/v1/orders.ts";
import { call, framed, STREAM, session, UNARY, UPLOAD } from "../../support/attacking.ts";
import { victim } from "./victim.ts";

const INPUTS = 10_000;
const AT_A_TIME = 20;
/** After so many a connection is left for another: what one input does to it is not to shield the next. */
const PER_CONNECTION = 500;

const seed = Number(process.env.BOWLINE_FUZZ_SEED ?? Date.now() % 1_000_000);

/** Bytes by chance: nonsense, or an honest body with something wrong in it. */
class Bodies {
  readonly #random: () => number;

  constructor(inputSeed: number) {
    this.#random = seededRandom(inputSeed);
  }

  next(): { readonly path: string; readonly body: Buffer } {
    const path = this.#pick([UNARY, UPLOAD, STREAM]);
    const orderId = "o".repeat(this.#below(200));
    const honest = framed(GetOrderRequest.encode(GetOrderRequest.create({ orderId })).finish());
    return { path, body: this.#pick([this.#nonsense, this.#flipped, this.#cut, this.#lying, this.#doubled])(honest) };
  }

  readonly #nonsense = (): Buffer => Buffer.from(Array.from({ length: this.#below(300) }, () => this.#below(256)));

  readonly #flipped = (honest: Buffer): Buffer => {
    const body = Buffer.from(honest);
    for (let flips = 1 + this.#below(8); flips > 0; flips -= 1) body[this.#below(body.byteLength)] = this.#below(256);
    return body;
  };

  readonly #cut = (honest: Buffer): Buffer => honest.subarray(0, this.#below(honest.byteLength));

  readonly #lying = (honest: Buffer): Buffer => {
    const length = this.#pick([0, 1, honest.byteLength * 2, 4 * 1024 * 1024, 0x7fff_ffff, 0xffff_ffff]);
    return framed(honest.subarray(5), { flag: this.#pick([0, 1, 2, 255]), length });
  };

  readonly #doubled = (honest: Buffer): Buffer => Buffer.concat([honest, this.#flipped(honest), this.#nonsense()]);

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)] as T;
  }
}

test(`${INPUTS} bodies by chance, seed ${seed}`, async () => {
  console.log(`fuzzed with BOWLINE_FUZZ_SEED=${seed}`);
  const server = await victim(onTestFinished);
  const bodies = new Bodies(seed);
  const ends = { answered: 0, reset: 0 };
  const volley = async (connection: ReturnType<typeof session>) => {
    const { path, body } = bodies.next();
    // An honest watch stays open: its deadline ends it.
    const { grpc } = await call(connection, path, body, { "grpc-timeout": "50m" });
    ends[grpc === undefined ? "reset" : "answered"] += 1;
  };
  const attack = async (inputs: number) => {
    for (let sent = 0; sent < inputs; sent += PER_CONNECTION) {
      const connection = session(server.port);
      for (let batch = 0; batch < PER_CONNECTION; batch += AT_A_TIME) {
        await Promise.all(Array.from({ length: AT_A_TIME }, () => volley(connection)));
      }
      connection.destroy();
    }
    await setTimeout(100);
  };
  await server.withstands(() => attack(INPUTS / 2));
  expect(ends.answered + ends.reset).toBe(INPUTS);
  expect(ends.answered).toBeGreaterThan(0.9 * INPUTS);
});
