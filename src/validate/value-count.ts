/**
 * Whether a message of protobuf-es has more values in it than so many: its own fields, the entries of its lists and
 * maps, and what is in them. No more of them are looked at than that takes.
 */
export function hasMoreValues(message: object, most: number): boolean {
  return roomAfter(message, most) < 0;
}

/** How much room a value leaves; negative once there is none. */
function roomAfter(value: unknown, room: number): number {
  let left = room - 1;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return left;
  for (const one of Array.isArray(value) ? value : Object.values(value)) {
    if (left < 0) return left;
    left = roomAfter(one, left);
  }
  return left;
}
