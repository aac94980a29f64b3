import { expect } from "vitest";
import { type ClientCases, LARGE } from "./expectations.ts";
import type { SuiteClient } from "./suite-client.ts";

/** Sends a bearer token, as all the cases with credentials do in the end, and wants to be told whose it is. */
async function expectUsername({ tests }: SuiteClient): Promise<void> {
  const request = { ...LARGE, fillUsername: true, fillOauthScope: true };
  const { username } = await tests.unaryCall(request, { metadata: { authorization: "Bearer token" } });
  expect(username, "the username of the call's token").not.toBe("");
}

/** The cases about credentials that do not need a cloud. */
export const CREDENTIAL_CASES: ClientCases = {
  jwt_token_creds: expectUsername,
  service_account_creds: expectUsername,
  oauth2_auth_token: expectUsername,
  per_rpc_creds: expectUsername,
};
