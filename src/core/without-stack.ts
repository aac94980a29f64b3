/**
 * Does something synchronous, and has the errors that are made in it take no stack trace: where nobody would look at
 * it, as it is always the same, it is most of what an error costs.
 */
export function withoutStack<T>(work: () => T): T {
  const { stackTraceLimit } = Error;
  // Not by assignment: that throws where a process has frozen its intrinsics.
  Reflect.set(Error, "stackTraceLimit", 0);
  try {
    return work();
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  }
}
