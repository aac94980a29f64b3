/** A source of chance: each call gives a number from 0 up to, not including, 1. */
export type Random = () => number;

/** The machine's own chance. */
export const systemRandom: Random = () => Math.random();

/** A text that nobody can guess, for what a client must not be able to name. */
export function unguessable(): string {
  return crypto.randomUUID();
}
