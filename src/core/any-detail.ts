import type { AnyDetail, StatusDetail } from "./status-detail.ts";
import { TYPE_URL, typeOfAny } from "./status-detail-codec.ts";

/** A message type as ts-proto generates it, as far as details need it. */
export interface DetailMessage<Message, Partial> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
  fromPartial(partial: Partial): Message;
}

/**
 * A message of one's own as a detail: `anyDetail("shop.v1.OutOfStock", OutOfStock, { sku: "s-1" })`.
 *
 * @param type its full name, as the contract has it: ts-proto's code does not know it.
 */
export function anyDetail<Message, Partial>(
  type: string,
  message: DetailMessage<Message, Partial>,
  fields: NoInfer<Partial>,
): AnyDetail {
  const value = message.encode(message.fromPartial(fields)).finish();
  return { $type: "google.protobuf.Any", typeUrl: TYPE_URL + type, value };
}

/** The first detail of a type, decoded if it is a message of one's own; undefined if there is none that can be read. */
export function findDetail(
  details: readonly StatusDetail[],
  type: string,
  message: { decode(bytes: Uint8Array): unknown } | undefined,
): unknown {
  if (!message) return details.find(({ $type }) => $type === type);
  for (const detail of details) {
    if (detail.$type !== "google.protobuf.Any" || typeOfAny(detail) !== type) continue;
    try {
      return message.decode(detail.value);
    } catch {
      // Another one may do.
    }
  }
  return undefined;
}
