/** Whether two policies say the same, whatever the order of their settings. One that is undefined is left out. */
export function sameSettings(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  return [...Object.keys(a), ...Object.keys(b)].every((key) => sameSettings(Reflect.get(a, key), Reflect.get(b, key)));
}
