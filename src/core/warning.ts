/**
 * Reports an error that nobody waits for, such as one of an observer: as a warning of the process, so that it is
 * neither lost nor fatal.
 *
 * @param what where it came from: "an observer threw".
 */
export function warn(what: string, error: unknown): void {
  process.emitWarning(`bowline: ${what}: ${textOf(error)}`);
}

/**
 * Calls what a user gave to be told of something: neither what it throws nor what it rejects with reaches the call
 * that it is told of.
 *
 * @param what what to say in the warning, such as "an observer threw".
 */
export function tell(what: string, callback: () => unknown): void {
  try {
    const returned = callback();
    if (returned instanceof Promise) returned.catch((error: unknown) => warn(what, error));
  } catch (error) {
    warn(what, error);
  }
}

function textOf(error: unknown): string {
  try {
    return String(error instanceof Error ? (error.stack ?? error.message) : error);
  } catch {
    return "something that has no text";
  }
}
