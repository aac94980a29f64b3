import { type DescEnum, type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";

/** How long a sample's texts are, and how great its numbers: a rule may say different things of less and of more. */
const SIZES = [1, 64] as const;

/**
 * Messages to try a rule on: an empty one, and some that have fields.
 *
 * @param fields those that are to be set.
 */
export function samplesOf(type: DescMessage, fields: readonly DescField[]): MessageShape<DescMessage>[] {
  const filled = SIZES.map((size) => {
    const sample = reflect(type);
    for (const field of fields) fill(sample, field, size);
    return sample.message;
  });
  return [reflect(type).message, ...filled];
}

function fill(sample: ReflectMessage, field: DescField, size: number): void {
  if (field.fieldKind === "list") sample.get(field).add(sampleOf(field, size));
  else if (field.fieldKind === "map")
    sample.get(field).set(scalarOf(field.mapKey, size) as string, sampleOf(field, size));
  else sample.set(field, sampleOf(field, size));
}

function sampleOf(
  {
    message,
    enum: names,
    scalar,
  }: { message?: DescMessage | undefined; enum?: DescEnum | undefined; scalar?: ScalarType | undefined },
  size: number,
): unknown {
  if (message) return reflect(message);
  if (names) return names.values.at(-1)?.number;
  return scalarOf(scalar ?? ScalarType.STRING, size);
}

const WIDE = new Set([
  ...[ScalarType.INT64, ScalarType.UINT64, ScalarType.SINT64, ScalarType.FIXED64, ScalarType.SFIXED64],
]);

function scalarOf(scalar: ScalarType, size: number): string | number | bigint | boolean | Uint8Array {
  if (scalar === ScalarType.STRING) return "a".repeat(size);
  if (scalar === ScalarType.BYTES) return new Uint8Array(size).fill(97);
  if (scalar === ScalarType.BOOL) return true;
  return WIDE.has(scalar) ? BigInt(size) : size;
}
