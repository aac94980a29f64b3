import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../../src/contract/contract.ts";

/** The orders contract in a hurry: so that a script of faults is over in seconds. */
export const HastyOrders = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  service: { breaker: { openMs: 100, maxOpenMs: 200 } },
  methods: {
    ...OrderService.methods,
    watchOrders: {
      resume: {
        ...{ requestField: "after_revision", cursorField: "revision", fromStart: true },
        ...{ initialBackoffMs: 10, maxBackoffMs: 200 },
      },
      heartbeat: { field: "heartbeat", intervalMs: 100 },
    },
  },
});
