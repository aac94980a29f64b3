import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";

/**
 * The orders contract with time enough for a machine that is busy with other tests, where its own gives GetOrder 300 ms,
 * without breakers, which calls that are meant to fail would open, and without resume, which would mend what a test
 * breaks; CreateOrder has no key, and whoever likes may call. For all tests that are about none of these.
 */
export const PatientOrders = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  service: { breaker: { disabled: true } },
  methods: {
    ...OrderService.methods,
    createOrder: {},
    getOrder: { timeoutMs: 10_000 },
    watchOrders: {},
    importOrders: { timeoutMs: 60_000 },
  },
});
