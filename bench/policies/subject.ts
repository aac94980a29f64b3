/** What is measured: one call through some policies, around the same work. */
export interface Subject {
  readonly title: string;
  call(): Promise<unknown>;
}

/** What every subject runs: an async function that waits once, for what is there already. */
export async function work(): Promise<void> {
  await undefined;
}

/** The settings that all of them have, in milliseconds and shares. */
export const settings = {
  timeoutMs: 2_000,
  maxAttempts: 3,
  initialBackoffMs: 50,
  maxBackoffMs: 1_000,
  failureRatio: 0.5,
  windowMs: 10_000,
  minimumCalls: 20,
  openMs: 5_000,
} as const;
