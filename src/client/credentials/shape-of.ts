/** What a value is, without what it says, which may be secret: `an object with access_token, expires_in`. */
export function shapeOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const names = Object.keys(value);
  return names.length > 0 ? `an object with ${names.join(", ")}` : "an object with nothing in it";
}
