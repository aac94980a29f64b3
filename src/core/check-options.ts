/** Says what is wrong with an option's value, after its name: "must be …"; undefined if nothing is. */
export type OptionCheck = (value: unknown) => string | undefined;

/** Options of which nothing is left unsaid. */
export type Filled<Options> = { readonly [Name in keyof Options]-?: Exclude<Options[Name], undefined> };

/**
 * All that is wrong with options: values that do not fit, and names that no option has, which would be silently
 * ignored where a configuration is no literal in TypeScript. An option that is undefined is left out.
 *
 * @param within where the options are, such as `tls.`; put before each name.
 */
export function checkOptions(options: unknown, checks: Readonly<Record<string, OptionCheck>>, within = ""): string[] {
  if (typeof options !== "object" || options === null) return [`the options must be an object; they are ${options}`];
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (!Object.hasOwn(checks, name)) {
      return [`there is no option ${within}${name}; there are ${Object.keys(checks).join(", ")}`];
    }
    const problem = checks[name]?.(value);
    return problem ? [`${within}${name} ${problem}`] : [];
  });
}

export const isPositive: OptionCheck = (value) => {
  if (typeof value !== "number") return `must be a number; it is ${show(value)}`;
  return value > 0 ? undefined : `must be greater than zero; it is ${value}`;
};

/**
 * The longest time, in milliseconds, of whatever keeps one in 32 bits: gRFC A6's pushback, grpc-js's options, and Node's
 * own timers, which turn longer delays into 1 ms. A `Clock` waits for any time that is finite.
 */
export const LONGEST_32_BIT_MS = 2_147_483_647;

/** A time that a `Clock` waits, or none. */
export const isDelay: OptionCheck = (value) =>
  Number.isFinite(value) && (value as number) >= 0
    ? undefined
    : `must be finite, zero or greater; it is ${show(value)}`;

/** A time that a `Clock` waits, and that is some. */
export const isSpan: OptionCheck = (value) =>
  isPositive(value) ?? (Number.isFinite(value) ? undefined : `must be finite; it is ${value}`);

export const isCount: OptionCheck = (value) =>
  Number.isInteger(value) && (value as number) >= 1
    ? undefined
    : `must be a whole number of at least 1; it is ${show(value)}`;

export const isBoolean: OptionCheck = (value) =>
  typeof value === "boolean" ? undefined : `must be true or false; it is ${show(value)}`;

export const isText: OptionCheck = (value) =>
  typeof value === "string" ? undefined : `must be a text; it is ${show(value)}`;

/** One of a few words. */
export function isOneOf(...words: readonly string[]): OptionCheck {
  return (value) =>
    words.some((word) => word === value) ? undefined : `must be ${words.join(" or ")}; it is ${show(value)}`;
}

export const isFunction: OptionCheck = (value) =>
  typeof value === "function" ? undefined : `must be a function; it is ${show(value)}`;

export const isObject: OptionCheck = (value) =>
  typeof value === "object" && value !== null ? undefined : `must be an object; it is ${show(value)}`;

export const areFunctions: OptionCheck = (value) =>
  Array.isArray(value) && value.every((entry) => typeof entry === "function")
    ? undefined
    : `must be an array of functions; it is ${show(value)}`;

/** Paths of methods. */
export const arePaths: OptionCheck = (value) =>
  Array.isArray(value) && value.length > 0 && value.every((path) => /^\/[^/]+\/[^/]+$/.test(path))
    ? undefined
    : `must be an array of paths, such as /package.Service/Method; it is ${JSON.stringify(value)}`;

/** A certificate or key: its text, not the name of its file. */
export const isPem: OptionCheck = (value) => {
  const text = typeof value === "string" ? value : value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
  return text.includes("-----BEGIN ") ? undefined : "must be the text of a PEM file, not its name";
};

/** What is said of a contract's fields, in the names that options have. What stands in quotes is the user's own. */
export function inOptionNames(message: string): string {
  return message.replaceAll(/"[^"]*"|\b[a-z]+(?:_[a-z]+)+\b/g, (name) =>
    name.startsWith('"') ? name : name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  );
}

/** A value as a message quotes it. */
export function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
