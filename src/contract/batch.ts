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
  /** Of an entry: a `google.rpc.Status`. Single requests do not fail if left out. */
  readonly statusField?: string;
}
