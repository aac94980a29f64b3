/** How a method's calls become parts of a batch: the method and the fields' names in the generated code. */
export interface BatchAccess {
  /** The key of the method that takes many in ts-proto's definition: `batchGetOrders`. */
  readonly method: string;
  /** Of its request: the list of requests. */
  readonly requestsField: string;
  /** Of its response: the list of entries, one for each request, in their order. */
  readonly responsesField: string;
  /** Of an entry: the response. Entries are responses themselves if left out. */
  readonly responseField?: string;
  /** Of an entry: the oneof that `responseField` is packed into, as ts-proto's `oneof=unions` has it. */
  readonly responseOneof?: string;
  /** Of an entry: a `google.rpc.Status`. Single requests do not fail if left out. */
  readonly statusField?: string;
  /** Of an entry: the oneof that `statusField` is packed into. */
  readonly statusOneof?: string;
}

/** A message as ts-proto has it, whatever it is. */
type Fields = Readonly<Record<string, unknown>>;

/** What an entry of a batch says of one request; neither of the two if it says nothing. */
export interface BatchEntry {
  readonly response: unknown;
  /** As ts-proto has a `google.rpc.Status`; code 0 is none. */
  readonly status: unknown;
}

/** Looks into an entry of a batch's response, whether or not its fields are packed into oneofs. */
export function readEntry(entry: Fields, access: BatchAccess): BatchEntry {
  const { responseField, statusField } = access;
  return {
    response: responseField === undefined ? entry : readField(entry, responseField, access.responseOneof),
    status: statusField === undefined ? undefined : readField(entry, statusField, access.statusOneof),
  };
}

/** A oneof says which of its fields it is, and holds that as `value` (`unions-value`) or by its own name (`unions`). */
function readField(entry: Fields, field: string, oneof: string | undefined): unknown {
  if (oneof === undefined) return entry[field] ?? undefined;
  const packed = entry[oneof] as Fields | undefined;
  if (packed?.$case !== field) return undefined;
  return Object.hasOwn(packed, field) ? packed[field] : packed.value;
}
