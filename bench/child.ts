import { type ChildProcess, type ForkOptions, fork } from "node:child_process";

/** Starts a process of a benchmark; resolves with the first thing it says, when it is ready. */
export async function startChild<T>(
  module: URL,
  argv: readonly string[] = [],
  options: ForkOptions = {},
): Promise<{ readonly child: ChildProcess; readonly first: T }> {
  const child = fork(module, argv, options);
  return { child, first: await answer<T>(child) };
}

/** Asks a process; resolves with the next thing it says. One question at a time. */
export function ask<T>(child: ChildProcess, question: object | string): Promise<T> {
  const answered = answer<T>(child);
  child.send(question);
  return answered;
}

/**
 * The next thing that a process says.
 *
 * @throws Error if it ends without a word.
 */
export function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`a process of the benchmark ended with ${code}`));
    child.once("exit", onExit);
    child.once("message", (message: T) => {
      child.off("exit", onExit);
      resolve(message);
    });
  });
}
