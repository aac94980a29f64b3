import type { DescField, DescMessage, FileRegistry, Message } from "@bufbuild/protobuf";
import { type Path, type ReflectList, type ReflectMap, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { ringCopies } from "./ring-copies.ts";
import { fieldsToRings, typesInRings } from "./rings.ts";
import { typesWithin } from "./rules.ts";

/**
 * Looks at a message, or at a part of it.
 *
 * @param type what it is to be evaluated by.
 * @param path where it is in the request; it is another's afterwards.
 * @returns whether to go on.
 */
export type Look = (type: DescMessage, message: Message, path: Path) => boolean;

/** How requests of a type are taken apart. */
export interface Parts {
  /** All that they and their parts are evaluated by. */
  readonly types: readonly DescMessage[];
  /** Has a message looked at, and each part of it that must be evaluated by itself. */
  readonly each: (message: Message, look: Look) => void;
}

/**
 * Takes requests apart where types contain each other, as protovalidate does not evaluate these in one another. What is
 * outside any ring, or contains itself alone, is evaluated with what it is in.
 *
 * @returns what takes requests of a type apart: no deeper than they can be decoded, which is 100 messages in each other.
 */
export function ringParts(registry: FileRegistry): (type: DescMessage) => Parts {
  const rings = typesInRings(registry);
  if (rings.size === 0) return (type) => ({ types: [type], each: (message, look) => void look(type, message, []) });
  const copyOf = ringCopies(registry, rings);
  const ways = new Map<DescMessage, readonly DescField[]>();
  const waysOf = (type: DescMessage) => {
    const known = ways.get(type) ?? fieldsToRings(type, rings);
    ways.set(type, known);
    return known;
  };
  const descend = (message: ReflectMessage, path: Path, look: Look): boolean => {
    for (const field of waysOf(message.desc)) {
      for (const [inner, ...at] of messagesIn(message, field)) {
        path.push(field, ...at);
        // One in another of its own type was evaluated with that.
        const isPart = rings.has(inner.desc) && inner.desc !== message.desc;
        const goesOn = (!isPart || look(copyOf(inner.desc), inner.message, path)) && descend(inner, path, look);
        path.length -= 1 + at.length;
        if (!goesOn) return false;
      }
    }
    return true;
  };
  return (type) => {
    const whole = copyOf(type);
    const within = typesWithin(type);
    // Whoever calls first would feel it.
    for (const one of within) waysOf(one);
    return {
      types: [whole, ...within.filter((one) => one !== type && rings.has(one)).map(copyOf)],
      each: (message, look) => void (look(whole, message, []) && descend(reflect(type, message), [], look)),
    };
  };
}

/** The messages in a field of messages, and at which index or key they are, if any. */
function* messagesIn(message: ReflectMessage, field: DescField): Generator<[ReflectMessage, ...Path]> {
  if (!message.isSet(field)) return;
  if (field.fieldKind === "message") yield [message.get(field)];
  if (field.fieldKind === "list") {
    const list = message.get(field) as ReflectList<ReflectMessage>;
    for (const [index, inner] of list.entries()) yield [inner, { kind: "list_sub", index }];
  }
  if (field.fieldKind === "map") {
    const map = message.get(field) as ReflectMap<MapKey, ReflectMessage>;
    for (const [key, inner] of map) yield [inner, { kind: "map_sub", key }];
  }
}

type MapKey = Extract<Path[number], { kind: "map_sub" }>["key"];
