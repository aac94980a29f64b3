/** A source of chance: each call gives a number from 0 up to, not including, 1. */
export type Random = () => number;

/** The machine's own chance. */
export const systemRandom: Random = () => Math.random();
