import { EventEmitter } from "node:events";
import type { DatabaseSync } from "node:sqlite";
import type { Idempotency } from "bowline";
import { sqliteIdempotency } from "bowline/idempotency-sqlite";
import type { IdempotencyOptions } from "bowline/server";
import {
  type CreateOrderRequest,
  type Order,
  type OrderEvent,
  type OrderItem,
  OrderStatus,
} from "../../../gen/shop/orders/v1/orders.ts";
import { openDatabase, transaction } from "../database.ts";
import { SCHEMA } from "./schema.ts";
import { seedOrders } from "./seed.ts";
import { totalOf } from "./total.ts";

/** How many rows are read at a time, so that a slow reader keeps no read transaction open. */
const PAGE = 100;

interface OrderRow {
  number: bigint;
  customer_id: string;
  status: bigint;
  total_cents: bigint;
  create_time_ms: bigint;
}

interface EventRow {
  revision: bigint;
  order_number: bigint;
  status: bigint;
  event_time_ms: bigint;
}

/** The orders and what happened to them, in a SQLite file. A new one has 1,000 orders in it, o-1 to o-1000. */
export class OrderStore {
  /** Emits `change` when something happened to an order in this process. */
  readonly changes = new EventEmitter().setMaxListeners(0);
  /** Where the server keeps answers: beside the orders. Whoever places one has 2 s, so that a lease is shorter. */
  readonly idempotency: IdempotencyOptions;
  readonly #database: DatabaseSync;
  readonly #statements;
  #dataVersion = 0n;

  constructor(folder: string) {
    this.#database = openDatabase(folder, "orders.db", SCHEMA);
    this.idempotency = { store: sqliteIdempotency(this.#database), leaseMs: 1_000 };
    this.#statements = prepare(this.#database);
    transaction(this.#database, () => {
      if (!this.get("o-1")) seedOrders(this);
    });
  }

  create(request: CreateOrderRequest): Order {
    return this.#write(() => this.insert(request, new Date()));
  }

  /** Writes an order and, in the same transaction, that it is the answer to its call's key. */
  async createOnce(request: CreateOrderRequest, idempotency: Idempotency): Promise<Order> {
    const order = await idempotency.commit(this.#database, () => this.insert(request, new Date()));
    this.changes.emit("change");
    return order;
  }

  /** Takes all of the orders or, if it throws, none of them. */
  createAll(requests: readonly CreateOrderRequest[]): Order[] {
    return this.#write(() => requests.map((request) => this.insert(request, new Date())));
  }

  get(orderId: string): Order | undefined {
    const number = /^o-(\d{1,15})$/.exec(orderId)?.[1];
    return number ? this.#order(BigInt(number)) : undefined;
  }

  /** Orders in the order of their ids: one customer's, or everybody's if `customerId` is empty. */
  *list(customerId: string, limit = Number.POSITIVE_INFINITY): Generator<Order> {
    const { page, pageOfCustomer } = this.#statements;
    let last = 0n;
    for (let left = limit; left > 0; left -= PAGE) {
      const most = Math.min(left, PAGE);
      const rows = customerId ? pageOfCustomer.all(customerId, last, most) : page.all(last, most);
      for (const row of rows as unknown as OrderRow[]) {
        yield this.#toOrder(row);
        last = row.number;
      }
      if (rows.length < PAGE) return;
    }
  }

  /** The revision of the last event; 0 if there is none. */
  lastRevision(): bigint {
    return (this.#statements.lastRevision.get() as { revision: bigint }).revision;
  }

  /** Whether another process has written since this was asked last. */
  changedElsewhere(): boolean {
    const { data_version: version } = this.#statements.dataVersion.get() as { data_version: bigint };
    const changed = version !== this.#dataVersion;
    this.#dataVersion = version;
    return changed;
  }

  /** The next events after a revision: of one customer's orders, or everybody's if `customerId` is empty. */
  eventsAfter(revision: bigint, customerId: string): OrderEvent[] {
    const { events, eventsOfCustomer } = this.#statements;
    const rows = customerId ? eventsOfCustomer.all(customerId, revision, PAGE) : events.all(revision, PAGE);
    return (rows as unknown as EventRow[]).map((row) => {
      const order = this.#order(row.order_number);
      const status = Number(row.status) as OrderStatus;
      return {
        revision: row.revision,
        order: order && { ...order, status },
        eventTime: new Date(Number(row.event_time_ms)),
        heartbeat: false,
      };
    });
  }

  /** Writes an order and its first event; within a transaction. */
  insert({ customerId, items }: CreateOrderRequest, createTime: Date): Order {
    const status = OrderStatus.ORDER_STATUS_PENDING;
    const totalCents = totalOf(items);
    const { insertOrder, insertItem, insertEvent } = this.#statements;
    const number = insertOrder.run(customerId, status, totalCents, createTime.getTime()).lastInsertRowid;
    for (const [position, { sku, quantity, unitPriceCents }] of items.entries())
      insertItem.run(number, position, sku, quantity, unitPriceCents);
    insertEvent.run(number, customerId, status, createTime.getTime());
    return { orderId: `o-${number}`, customerId, status, items, totalCents, createTime };
  }

  /** Moves an order on, and writes the event; within a transaction. */
  setStatus(order: Order, status: OrderStatus, eventTime: Date): void {
    const number = BigInt(order.orderId.slice(2));
    this.#statements.updateStatus.run(status, number);
    this.#statements.insertEvent.run(number, order.customerId, status, eventTime.getTime());
  }

  close(): void {
    this.#database.close();
  }

  #write<T>(work: () => T): T {
    const result = transaction(this.#database, work);
    this.changes.emit("change");
    return result;
  }

  #order(number: bigint): Order | undefined {
    const row = this.#statements.order.get(number);
    return row && this.#toOrder(row as unknown as OrderRow);
  }

  #toOrder(row: OrderRow): Order {
    const items = this.#statements.items.all(row.number).map(
      (item): OrderItem => ({
        sku: String(item.sku),
        quantity: Number(item.quantity),
        unitPriceCents: item.unit_price_cents as bigint,
      }),
    );
    return {
      orderId: `o-${row.number}`,
      customerId: row.customer_id,
      status: Number(row.status) as OrderStatus,
      items,
      totalCents: row.total_cents,
      createTime: new Date(Number(row.create_time_ms)),
    };
  }
}

function prepare(database: DatabaseSync) {
  return {
    insertOrder: database.prepare(
      "INSERT INTO orders (customer_id, status, total_cents, create_time_ms) VALUES (?, ?, ?, ?)",
    ),
    insertItem: database.prepare("INSERT INTO order_items VALUES (?, ?, ?, ?, ?)"),
    insertEvent: database.prepare(
      "INSERT INTO order_events (order_number, customer_id, status, event_time_ms) VALUES (?, ?, ?, ?)",
    ),
    updateStatus: database.prepare("UPDATE orders SET status = ? WHERE number = ?"),
    order: database.prepare("SELECT * FROM orders WHERE number = ?"),
    items: database.prepare("SELECT * FROM order_items WHERE order_number = ? ORDER BY position"),
    page: database.prepare("SELECT * FROM orders WHERE number > ? ORDER BY number LIMIT ?"),
    pageOfCustomer: database.prepare(
      "SELECT * FROM orders WHERE customer_id = ? AND number > ? ORDER BY number LIMIT ?",
    ),
    lastRevision: database.prepare("SELECT coalesce(max(revision), 0) AS revision FROM order_events"),
    // SQLite's own count of what other connections have committed.
    dataVersion: database.prepare("PRAGMA data_version"),
    events: database.prepare("SELECT * FROM order_events WHERE revision > ? ORDER BY revision LIMIT ?"),
    eventsOfCustomer: database.prepare(
      "SELECT * FROM order_events WHERE customer_id = ? AND revision > ? ORDER BY revision LIMIT ?",
    ),
  };
}
