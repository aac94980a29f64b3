import { type ClientOptions, closeClient, createClient, type Observer } from "bowline";
import { createServer, type Server } from "bowline/server";
import { onTestFinished } from "vitest";
import { type Contract, contract } from "../../src/contract/contract.ts";
import type { MethodPolicy } from "../../src/contract/policy.ts";
import type { CallContext } from "../../src/core/call-context.ts";
import type { CallOptions } from "../../src/core/call-options.ts";

/** What is asked for, and the answer. */
export interface Item {
  readonly id: string;
}

/** One answer in a batch. */
export interface Entry {
  readonly item?: Item;
  readonly error?: { readonly code: number; readonly message: string };
}

/** A client of items. */
export interface ItemsClient {
  getItem(request: Item, options?: CallOptions): Promise<Item>;
  batchGetItems(request: { requests: Item[] }, options?: CallOptions): Promise<{ entries: Entry[] }>;
}

type Many = (request: { requests: Item[] }, context: CallContext) => Promise<{ entries: Entry[] }>;

function messageOf(empty: object) {
  return {
    encode: (message: object) => ({
      finish() {
        if (Reflect.get(message, "id") === "not encodable") throw new TypeError("no such id");
        return Buffer.from(JSON.stringify(message));
      },
    }),
    decode: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()),
    fromPartial: (message: object) => ({ ...empty, ...message }),
  };
}

const item = messageOf({ id: "" });

const definition = {
  name: "Items",
  fullName: "test.v1.Items",
  methods: {
    getItem: {
      ...{ name: "GetItem", requestType: item, responseType: item, requestStream: false, responseStream: false },
      options: { idempotencyLevel: "NO_SIDE_EFFECTS" as const },
    },
    batchGetItems: {
      ...{ name: "BatchGetItems", requestStream: false, responseStream: false },
      ...{ requestType: messageOf({ requests: [] }), responseType: messageOf({ entries: [] }) },
      options: { idempotencyLevel: "NO_SIDE_EFFECTS" as const },
    },
  },
};

/** A contract whose GetItem is gathered into BatchGetItems. */
export function itemsContract(
  settings: { readonly maxSize?: number; readonly maxWaitMs?: number } = {},
  many: MethodPolicy = {},
  own: MethodPolicy = {},
): Contract<typeof definition, ItemsClient, { getItem: unknown; batchGetItems: unknown }> {
  const where = { method: "BatchGetItems", requestsField: "requests", responsesField: "entries" };
  const fields = { responseField: "item", statusField: "error" };
  return contract({
    definition,
    service: {},
    methods: { getItem: { batch: { ...where, ...fields, ...settings }, ...own }, batchGetItems: many },
    cursors: {},
    batches: { getItem: { ...where, method: "batchGetItems", ...fields } },
    descriptors: () => "",
  });
}

/** Answers each request in its place; ids that begin with "no-" are not found. */
export const answered: Many = async ({ requests }) => ({ entries: requests.map(entryOf) });

function entryOf({ id }: Item): Entry {
  return id.startsWith("no-") ? { error: { code: 5, message: `there is no ${id}` } } : { item: { id } };
}

/** Serves items until the test is over, and keeps what was asked. */
export async function serveItems(many: Many = answered) {
  const batches: string[][] = [];
  const contexts: CallContext[] = [];
  const singles: string[] = [];
  const server: Server = createServer({ drainOn: [], reflection: false }).add(itemsContract(), {
    async getItem(request: Item) {
      singles.push(request.id);
      return request;
    },
    batchGetItems(request: { requests: Item[] }, context: CallContext) {
      batches.push(request.requests.map(({ id }) => id));
      contexts.push(context);
      return many(request, context);
    },
  } as never);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  return { port, batches, contexts, singles };
}

/** A client of items until the test is over. */
export function connectItems(
  port: number,
  wanted = itemsContract(),
  options: ClientOptions & { readonly observer?: Observer } = {},
): ItemsClient & Disposable {
  const client = createClient(wanted, `127.0.0.1:${port}`, options);
  onTestFinished(() => closeClient(client));
  return client;
}
