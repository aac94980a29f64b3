/** The tables of the orders service. Money is in cents, times are milliseconds since 1970, UTC. */
export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    customer_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    total_cents INTEGER NOT NULL,
    create_time_ms INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS orders_of_customer ON orders (customer_id, number);

  CREATE TABLE IF NOT EXISTS order_items (
    order_number INTEGER NOT NULL REFERENCES orders,
    position INTEGER NOT NULL,
    sku TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    unit_price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_number, position)
  ) WITHOUT ROWID;

  -- One row for each thing that happened to an order: its status from then on.
  CREATE TABLE IF NOT EXISTS order_events (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    order_number INTEGER NOT NULL REFERENCES orders,
    customer_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    event_time_ms INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS events_of_customer ON order_events (customer_id, revision)`;
