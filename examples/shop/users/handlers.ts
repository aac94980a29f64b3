import { fail } from "bowline";
import type { UserServiceHandlers } from "../../../gen/shop/users/v1/users.contract.ts";
import type { UserStore } from "./store.ts";

/** What the users service does. */
export function userHandlers(store: UserStore): UserServiceHandlers {
  return {
    async getUser({ userId }) {
      return store.get(userId) ?? fail("NOT_FOUND", `there is no user ${JSON.stringify(userId)}`);
    },

    async createUser({ name, email }) {
      if (name.trim() === "") fail("INVALID_ARGUMENT", "name must not be empty");
      if (!/^[^\s@]+@[^\s@]+$/.test(email))
        fail("INVALID_ARGUMENT", `email must be an e-mail address; it is ${JSON.stringify(email)}`);
      return store.create(name, email) ?? fail("ALREADY_EXISTS", `there is a user with the e-mail address ${email}`);
    },

    async *streamUsers({ limit }) {
      yield* store.list(limit || undefined);
    },
  };
}
