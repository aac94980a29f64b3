import { randomUUID } from "node:crypto";
import { createClient } from "bowline";
import { UserService } from "../../../gen/shop/users/v1/users.contract.ts";
import type { Shop } from "../shop.ts";

/** Adds a customer who has no orders yet; returns the id. */
export async function newCustomer(shop: Shop): Promise<string> {
  using users = createClient(UserService, shop.users.target);
  const { userId } = await users.createUser({ name: "Tour Guest", email: `${randomUUID()}@example.com` });
  return userId;
}
