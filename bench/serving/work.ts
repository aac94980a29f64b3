import { pbkdf2Sync } from "node:crypto";
import { median } from "../median.ts";

const TURNS = 50_000;
/** How often they are timed: in the middle, the clock that counts CPU time is right. */
const TRIALS = 11;

/** How many turns of `work` take 1 ms of CPU time. */
export function turnsPerMs(): number {
  const micros = Array.from({ length: TRIALS }, () => {
    const begin = process.cpuUsage();
    work(TURNS);
    const { user, system } = process.cpuUsage(begin);
    return user + system;
  });
  return Math.round((TURNS * 1_000) / median(micros));
}

/** Keeps the thread busy for so many turns, each as long as the others: a loop of JavaScript is now compiled, now not. */
export function work(turns: number): void {
  pbkdf2Sync("work", "salt", turns, 32, "sha256");
}
