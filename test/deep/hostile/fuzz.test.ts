import { setTimeout } from "node:timers/promises";
import { Status } from "bowline";
import { seededRandom } from "bowline/testing";
import { expect, onTestFinished, test } from "vitest";
import { GetOrderRequest } from "../../../gen/shop/orders/v1/orders.ts";
import { call, framed, type Seen, STREAM, session, UNARY, UPLOAD } from "../../support/attacking.ts";
import { ATTACKS, victim } from "./victim.ts";

const INPUTS = 10_000;
const AT_A_TIME = 100;
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

/** Longer than any honest call takes, on a machine that is busy; a watch stays open, and its deadline ends it. */
const TIMEOUTS: Readonly<Record<string, string>> = { [UNARY]: "30S", [UPLOAD]: "30S", [STREAM]: "50m" };

/** What bytes may be answered. Anything else is an error of ours. */
const ALLOWED: Readonly<Record<string, ReadonlySet<number>>> = {
  [UNARY]: new Set([Status.OK, Status.INTERNAL, Status.RESOURCE_EXHAUSTED, Status.UNIMPLEMENTED]),
  [UPLOAD]: new Set([Status.OK, Status.INTERNAL, Status.RESOURCE_EXHAUSTED]),
  [STREAM]: new Set([
    ...[Status.DEADLINE_EXCEEDED, Status.INTERNAL],
    ...[Status.RESOURCE_EXHAUSTED, Status.UNIMPLEMENTED],
  ]),
};

/** Whether the first message of a body is one: then GetOrder may answer it. */
function beginsWell(body: Buffer): boolean {
  const length = body.byteLength < 5 ? Number.NaN : body.readUInt32BE(1);
  if (!(5 + length <= body.byteLength)) return false;
  try {
    GetOrderRequest.decode(body.subarray(5, 5 + length));
    return true;
  } catch {
    return false;
  }
}

/** Whether a body is one message in one frame, and nothing else: then GetOrder must answer it. */
function isHonest(body: Buffer): boolean {
  return body[0] === 0 && beginsWell(body) && body.byteLength === 5 + body.readUInt32BE(1);
}

test(`${INPUTS} bodies by chance, seed ${seed}`, async () => {
  console.log(`fuzzed with BOWLINE_FUZZ_SEED=${seed}`);
  const server = await victim(onTestFinished);
  const bodies = new Bodies(seed);
  const answers = new Map<string, number>();
  const count = (what: string) => answers.get(what) ?? 0;
  const volley = async (connection: ReturnType<typeof session>) => {
    const { path, body } = bodies.next();
    const what = `${path} with ${body.toString("hex")}`;
    const ended = call(connection, path, body, { "grpc-timeout": TIMEOUTS[path] });
    const seen = await Promise.race([ended, setTimeout(60_000, "late", { ref: false })]);
    // Each ends, by an answer and not by a reset, and with a status that such bytes may have.
    expect(seen, what).toMatchObject({ http: 200, reset: 0 });
    const { grpc = Number.NaN } = seen as Seen;
    expect(ALLOWED[path], what).toContain(grpc);
    if (path === UNARY && grpc === Status.OK) expect(beginsWell(body), what).toBe(true);
    if (path === UNARY && isHonest(body)) expect(grpc, what).toBe(Status.OK);
    answers.set(`${path} ${grpc}`, count(`${path} ${grpc}`) + 1);
  };
  const attack = async () => {
    for (let sent = 0; sent < INPUTS / ATTACKS; sent += PER_CONNECTION) {
      const connection = session(server.port);
      for (let batch = 0; batch < PER_CONNECTION; batch += AT_A_TIME) {
        await Promise.all(Array.from({ length: AT_A_TIME }, () => volley(connection)));
      }
      connection.destroy();
    }
  };
  await server.withstands(attack);
  const { handled } = await server.idle();
  // One run of a handler for each call that was answered by one; one more for the honest call after the attacks.
  expect(handled.getOrder).toBe(count(`${UNARY} ${Status.OK}`) + 1);
  expect(handled.importOrders).toBeGreaterThanOrEqual(count(`${UPLOAD} ${Status.OK}`));
  expect(handled.watchOrders).toBeLessThanOrEqual(count(`${STREAM} ${Status.DEADLINE_EXCEEDED}`));
  // Of every kind there were some.
  const unseen = Object.entries(ALLOWED).flatMap(([path, codes]) =>
    [...codes].filter((code) => count(`${path} ${code}`) === 0).map((code) => `${path} ${code}`),
  );
  expect(unseen).toEqual([]);
});
