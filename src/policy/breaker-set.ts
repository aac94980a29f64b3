import type { Breaker, BreakerSnapshot } from "./breaker.ts";

/** A setting that holds until `reset`. */
type Forced = "forceOpen" | "forceClosed" | "disable";

/**
 * Looks at and steers the breakers of a client or middleware. Each method has its own, under its path, such as
 * `/shop.orders.v1.OrderService/GetOrder`; a breaker that a service's methods share has the service's name. Without a
 * name, all of them are meant, and those that are still to come.
 */
export interface Breakers {
  /** What each stands at, by name. */
  snapshot(): Readonly<Record<string, BreakerSnapshot>>;
  /** Lets nothing pass until `reset`. @throws TypeError for a name that none has. */
  forceOpen(name?: string): void;
  /** Lets everything pass and goes on counting, until `reset`. @throws TypeError for a name that none has. */
  forceClosed(name?: string): void;
  /** Lets everything pass and counts nothing, until `reset`. @throws TypeError for a name that none has. */
  disable(name?: string): void;
  /** Closes and forgets everything that was counted or forced. @throws TypeError for a name that none has. */
  reset(name?: string): void;
}

/** The breakers of one client or middleware, made when they are first asked for. */
export class BreakerSet implements Breakers {
  readonly #breakers = new Map<string, Breaker>();
  /** The names that no call asks for any more that begins now. */
  readonly #retired = new Set<string>();
  #forced: Forced | undefined;

  /** The breaker of a name; `make` makes it if there is none yet. */
  of(name: string, make: () => Breaker): Breaker {
    const known = this.#breakers.get(name);
    this.#retired.delete(name);
    if (known) return known;
    const breaker = make();
    this.#breakers.set(name, breaker);
    if (this.#forced) breaker[this.#forced]();
    return breaker;
  }

  /**
   * Shows no others than these from here on. The others stay, for the calls that have them already and for when they are
   * asked for again; and what is done to all is done to them.
   */
  retireBut(names: ReadonlySet<string>): void {
    for (const name of this.#breakers.keys()) if (!names.has(name)) this.#retired.add(name);
  }

  snapshot(): Readonly<Record<string, BreakerSnapshot>> {
    const shown = [...this.#breakers].filter(([name]) => !this.#retired.has(name));
    return Object.fromEntries(shown.map(([name, breaker]) => [name, breaker.snapshot()]));
  }

  forceOpen(name?: string): void {
    this.#force("forceOpen", name);
  }

  forceClosed(name?: string): void {
    this.#force("forceClosed", name);
  }

  disable(name?: string): void {
    this.#force("disable", name);
  }

  reset(name?: string): void {
    if (name === undefined) this.#forced = undefined;
    for (const breaker of this.#named(name)) breaker.reset();
  }

  #force(forced: Forced, name: string | undefined): void {
    if (name === undefined) this.#forced = forced;
    for (const breaker of this.#named(name)) breaker[forced]();
  }

  #named(name: string | undefined): Breaker[] {
    if (name === undefined) return [...this.#breakers.values()];
    const breaker = this.#breakers.get(name);
    if (breaker && !this.#retired.has(name)) return [breaker];
    const names = Object.keys(this.snapshot()).join(", ");
    throw new TypeError(`there is no breaker ${JSON.stringify(name)}; there are ${names || "none yet"}`);
  }
}
