import { type Contract, requireContract } from "../contract/contract.ts";
import { toMethod } from "../contract/definition.ts";
import type { CallContext } from "../core/call-context.ts";
import { systemClock } from "../core/clock.ts";
import { fail } from "../core/errors.ts";
import type { Method } from "../core/method.ts";
import { createServer } from "../server/index.ts";
import type { AnswerOf } from "./answer.ts";
import { CallRecord, type ReceivedCall, type Sent } from "./received-call.ts";
import { Script } from "./script.ts";
import { show } from "./show.ts";

/** What a call must be like: a partial request that it must match, or a predicate. Where the client streams: a list. */
export type Match<ClientMethod, Handler> = Sent<ClientMethod> | ((request: Sent<Handler>) => boolean);

/** A call of any of the methods; `method` tells which. */
export type CallOf<Handlers> = {
  [Name in keyof Handlers & string]: ReceivedCall<Name, Sent<Handlers[Name]>>;
}[keyof Handlers & string];

/** A real server on a socket of this machine that answers as a test says; made by `scriptedServer`. */
export interface ScriptedServer<Client, Handlers> extends AsyncDisposable {
  /** What clients dial: `127.0.0.1` with a port of its own. */
  readonly target: string;
  /** Every call that came, in the order of arrival. */
  readonly calls: readonly CallOf<Handlers>[];
  /**
   * Says what the next call of a method is answered. Expectations of one method are met in the order of their making;
   * calls of different methods may come in any order.
   *
   * A match on a method whose client streams is of all that it sends, so the answer begins after that; without one, it
   * begins when the call comes.
   *
   * @param match what the call must be like. Default: any call will do.
   * @throws TypeError for a method that the contract does not have, and a match that cannot be one.
   */
  expect<Name extends keyof Client & keyof Handlers & string>(
    method: Name,
    match?: Match<Client[Name], Handlers[Name]>,
  ): AnswerOf<Handlers[Name]>;
  /** Resolves once `count` calls have come in all. */
  received(count: number): Promise<void>;
  /** Resolves once no call is open: what clients left is known then. */
  idle(): Promise<void>;
  /**
   * Makes sure that everything expected came, and nothing else.
   *
   * @throws Error that lists each expectation that was not met, each call that nobody expected, and each answer that
   *   could not be sent.
   */
  verify(): void;
  /** Stops at once; clients of open calls are told UNAVAILABLE. The same as leaving an `await using` block. */
  close(): Promise<void>;
}

/**
 * Starts a server for tests that says what it is told to: real sockets, headers, deadlines and cancellation, and no
 * handler to write. A call that nobody expected is answered UNIMPLEMENTED at once, with the word not to retry it, and
 * fails `verify()`.
 *
 * @throws TypeError for what is no contract.
 */
export async function scriptedServer<Client extends object, Handlers extends object>(
  contract: Contract<Contract["definition"], Client, Handlers>,
): Promise<ScriptedServer<Client, Handlers>> {
  requireContract(contract, "scriptedServer");
  const scripted = new Scripted(contract);
  return (await scripted.start()) as unknown as ScriptedServer<Client, Handlers>;
}

interface ScriptedMethod {
  readonly key: string;
  readonly method: Method;
  readonly scripts: Script[];
}

class Scripted {
  readonly calls: CallRecord[] = [];
  target = "";
  readonly #contract: Contract;
  readonly #methods = new Map<string, ScriptedMethod>();
  readonly #problems: string[] = [];
  readonly #server = createServer({
    drainOn: [],
    reflection: false,
    // Each attempt is to reach the script, whatever its request.
    idempotency: false,
    validation: false,
    authenticate: false,
    onError: (error, { method }) => void this.#problems.push(`${this.#keyOf(method)}: the answer failed: ${error}`),
  });
  #open = 0;
  #changed = Promise.withResolvers<void>();

  constructor(contract: Contract) {
    this.#contract = contract;
    const { methods } = contract.definition;
    for (const [key, definition] of Object.entries(methods)) {
      this.#methods.set(key, { key, method: toMethod(contract.definition, definition), scripts: [] });
    }
  }

  async start(): Promise<this> {
    const handlers = [...this.#methods.values()].map((one) => [
      one.key,
      (request: unknown, context: CallContext) =>
        one.method.responseStream ? this.#answer(one, request, context) : this.#answerOnce(one, request, context),
    ]);
    // Nothing is sent that the script does not say.
    const contract = { ...this.#contract, heartbeats: {} } as Contract<Contract["definition"], unknown, object>;
    this.#server.add(contract, Object.fromEntries(handlers));
    this.target = `127.0.0.1:${await this.#server.listen("127.0.0.1:0")}`;
    return this;
  }

  expect(key: string, match?: unknown): Script {
    const one = this.#methods.get(key);
    const { name } = this.#contract;
    if (!one)
      throw new TypeError(`expect: ${name} has no method ${show(key)}, only ${[...this.#methods.keys()].join(", ")}`);
    checkMatch(one, match);
    const script = new Script(key, one.method, match, systemClock);
    one.scripts.push(script);
    return script;
  }

  async received(count: number): Promise<void> {
    while (this.calls.length < count) await this.#changed.promise;
  }

  async idle(): Promise<void> {
    while (this.#open > 0) await this.#changed.promise;
  }

  verify(): void {
    const unmet = [...this.#methods.values()].flatMap(({ key, scripts }) =>
      scripts.filter(({ missing }) => missing > 0).map((script) => describeUnmet(key, script)),
    );
    const problems = [...this.#problems, ...unmet];
    if (problems.length === 0) return;
    throw new Error(
      `scriptedServer of ${this.#contract.name}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
    );
  }

  async close(): Promise<void> {
    await this.#server.drain({ timeoutMs: 0 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #answerOnce(one: ScriptedMethod, request: unknown, context: CallContext): Promise<unknown> {
    let response: unknown;
    for await (const message of this.#answer(one, request, context)) response = message;
    return response;
  }

  async *#answer(one: ScriptedMethod, request: unknown, context: CallContext): AsyncGenerator<unknown> {
    const call = new CallRecord(one.key, one.method, request, context, systemClock);
    this.calls.push(call);
    this.#open += 1;
    this.#change();
    try {
      const requests = one.method.requestStream ? call.collect(request as AsyncIterable<unknown>) : Promise.resolve();
      // A client that leaves while it sends is seen by what waits for its requests, if anything does.
      requests.catch(() => {});
      if (candidates(one.scripts).some(({ choosy }) => choosy)) await requests;
      const script = this.#claim(one, call);
      if (script) yield* script.play({ context, requests });
      else fail("UNIMPLEMENTED", this.#refuse(one, call), { pushbackMs: -1 });
    } finally {
      this.#open -= 1;
      call.over(context);
      this.#change();
    }
  }

  /** The expectation that a call meets, if one does. */
  #claim({ scripts }: ScriptedMethod, call: CallRecord): Script | undefined {
    const script = candidates(scripts).find((one) => one.matches(call.request));
    if (!script?.complete) return undefined;
    script.take();
    call.expected = true;
    return script;
  }

  /** Keeps that a call was not expected, and says so. */
  #refuse({ key, scripts }: ScriptedMethod, call: CallRecord): string {
    const request = show(call.request);
    const next = candidates(scripts);
    const why = next.length > 0 ? `the next one is ${next.map(describe).join(", or ")}` : "none is expected any more";
    this.#problems.push(`call ${this.calls.indexOf(call) + 1}, ${key}(${request}), was not expected: ${why}`);
    return `no answer was scripted for ${key}(${request}): ${why}`;
  }

  #keyOf({ path }: Method): string | undefined {
    return [...this.#methods.values()].find(({ method }) => method.path === path)?.key;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** The expectations that a call may meet: those for any number of calls, up to the first that is for some. */
function candidates(scripts: readonly Script[]): Script[] {
  const waiting = scripts.filter(({ missing, unlimited }) => missing > 0 || unlimited);
  const limited = waiting.findIndex((script) => !script.unlimited);
  return limited < 0 ? waiting : waiting.slice(0, limited + 1);
}

function describe(script: Script): string {
  return `for ${script.wanted}${script.complete ? "" : ", and has no reply(), fail() or hang()"}`;
}

function describeUnmet(key: string, script: Script): string {
  const calls = script.missing === 1 ? "1 more call" : `${script.missing} more calls`;
  return `${key}: expected ${calls} ${describe(script)}`;
}

/** @throws TypeError for what a request of the method cannot match. */
function checkMatch({ key, method }: ScriptedMethod, match: unknown): void {
  if (match === undefined || typeof match === "function") return;
  const fits = method.requestStream ? Array.isArray(match) : typeof match === "object" && match !== null;
  const partial = method.requestStream ? "a list of partial requests" : "a partial request";
  if (!fits) throw new TypeError(`expect(${show(key)}): a match is ${partial} or a predicate; it is ${show(match)}`);
}
