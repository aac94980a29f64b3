let last = 0;

/** A number that no other call of this process has, made or served. */
export function nextCallId(): number {
  last += 1;
  return last;
}
