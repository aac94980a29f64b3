import { fileURLToPath } from "node:url";

/** Where a service listens, and the environment variable that says so. */
export interface Place {
  readonly service: "orders" | "users";
  readonly port: number;
  readonly variable: string;
}

/** What the environment says. */
export interface Settings {
  /** The folder of the SQLite files. `SHOP_DATA`; default: `.shop` in the repository's root. */
  readonly dataFolder: string;
  /** `SHOP_ORDERS_PORT`; default: 50051. 0 takes a free port. */
  readonly orders: Place;
  /** `SHOP_USERS_PORT`; default: 50052. 0 takes a free port. */
  readonly users: Place;
  /** Where the orders service finds the users service. `SHOP_USERS_TARGET`; default: here, at its port. */
  readonly usersTarget: string;
  /** How long a service waits before it works on a call, in milliseconds. `SHOP_DELAY_MS`; default: 0. */
  readonly delayMs: number;
  /** Which of a method's calls wait: each so-manyth. `SHOP_DELAY_EVERY`; default: 1, all of them. */
  readonly delayEvery: number;
  /**
   * How many calls of a method a service takes on at a time; it refuses more with RESOURCE_EXHAUSTED. 0 is no bound.
   * `SHOP_AT_ONCE`; default: 0.
   */
  readonly atOnce: number;
  /** Whether callers need a token. `SHOP_AUTH`, 1 or 0; default: 0. */
  readonly auth: boolean;
  /**
   * `SHOP_DELAY_MS` of the tour's slow replicas. `SHOP_TOUR_SLOW_MS`; default: 30,000. With 0 they are not slow, and
   * their row comes out wrong.
   */
  readonly tourSlowMs: number;
}

/**
 * Reads the environment.
 *
 * @throws Error that lists every setting that is wrong.
 */
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const problems: string[] = [];
  const number = (variable: string, otherwise: number, most: number) => {
    const text = env[variable] || String(otherwise);
    if (!/^\d{1,6}$/.test(text) || Number(text) > most)
      problems.push(`${variable} must be a whole number from 0 to ${most}; it is ${JSON.stringify(text)}`);
    return Number(text);
  };
  const users = number("SHOP_USERS_PORT", 50_052, 65_535);
  const settings: Settings = {
    dataFolder: env.SHOP_DATA || fileURLToPath(new URL("../../.shop", import.meta.url)),
    orders: {
      service: "orders",
      port: number("SHOP_ORDERS_PORT", 50_051, 65_535),
      variable: "SHOP_ORDERS_PORT",
    },
    users: { service: "users", port: users, variable: "SHOP_USERS_PORT" },
    usersTarget: env.SHOP_USERS_TARGET || `127.0.0.1:${users}`,
    delayMs: number("SHOP_DELAY_MS", 0, 600_000),
    delayEvery: number("SHOP_DELAY_EVERY", 1, 100_000),
    atOnce: number("SHOP_AT_ONCE", 0, 100_000),
    auth: number("SHOP_AUTH", 0, 1) === 1,
    tourSlowMs: number("SHOP_TOUR_SLOW_MS", 30_000, 600_000),
  };
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return settings;
}
