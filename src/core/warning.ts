/**
 * Reports an error that nobody waits for, such as one of an observer: as a warning of the process, so that it is
 * neither lost nor fatal.
 *
 * @param what where it came from: "an observer threw".
 */
export function warn(what: string, error: unknown): void {
  process.emitWarning(`bowline: ${what}: ${textOf(error)}`);
}

function textOf(error: unknown): string {
  if (error instanceof Error) return error.stack ?? error.message;
  try {
    return String(error);
  } catch {
    return "something that has no text";
  }
}
