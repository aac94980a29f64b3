import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";

/**
 * The orders contract with time enough for a machine that is busy with other tests: its own gives GetOrder 300 ms. For
 * all tests that are not about that.
 */
export const PatientOrders = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  service: {},
  methods: { ...OrderService.methods, getOrder: { timeoutMs: 10_000 } },
});
