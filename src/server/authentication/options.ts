import type { Contract } from "../../contract/contract.ts";
import type { Clock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import { authenticationLayer } from "../layers/authentication.ts";
import { permissionLayer } from "../layers/permission.ts";
import type { ServerLayers } from "../pipeline.ts";
import { type AccessOf, restrictedPaths } from "./access.ts";
import type { Authenticator, Authenticators } from "./authenticator.ts";

/** Who may call what on a server, and how it is found out. */
export interface AuthenticationSettings {
  /** `false`: callers are not authenticated, and whatever the contract says of it is without effect. */
  readonly authenticate?: Authenticators | false | undefined;
  /** Default: true. */
  readonly endStreamsAtExpiry?: boolean | undefined;
}

/** The layers that tell callers apart and keep out those who may not call; none where nobody authenticates them. */
export function accessLayers(
  { authenticate, endStreamsAtExpiry = true, accessOf }: AuthenticationSettings & { readonly accessOf: AccessOf },
  clock: Clock,
  observer: Observer | undefined,
): ServerLayers {
  if (authenticate === undefined || authenticate === false) return {};
  const authenticators = authenticatorsOf({ authenticate });
  return {
    authentication: authenticationLayer({ authenticators, accessOf, endStreamsAtExpiry, clock, observer }),
    permission: permissionLayer({ accessOf, observer }),
  };
}

/** Those that are asked, in their order. */
export function authenticatorsOf({ authenticate = [] }: AuthenticationSettings): readonly Authenticator[] {
  if (authenticate === false) return [];
  return typeof authenticate === "function" ? [authenticate] : authenticate;
}

/** What a server lacks that has a contract which says who may call, and nothing that finds out who does. */
export function authenticationProblems(contract: Contract, authenticate: unknown): string[] {
  const paths = authenticate === undefined ? restrictedPaths(contract) : [];
  if (paths.length === 0) return [];
  return [
    `the contract has auth for ${paths.join(", ")}; give the server { authenticate }, such as jwt({ … }) or mtls(), or { authenticate: false } to serve them to whoever comes`,
  ];
}
