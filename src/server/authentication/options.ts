import type { Clock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import { authenticationLayer } from "../layers/authentication.ts";
import { permissionLayer } from "../layers/permission.ts";
import type { ServerLayers } from "../pipeline.ts";
import type { AccessOf } from "./access.ts";
import type { Authenticator, Authenticators } from "./authenticator.ts";

/** Who may call what on a server, and how it is found out. */
export interface AuthenticationSettings {
  /** Default: callers are not authenticated, and whatever the contract says of it is without effect. */
  readonly authenticate?: Authenticators | undefined;
  /** Default: true. */
  readonly endStreamsAtExpiry?: boolean | undefined;
}

/** The layers that tell callers apart and keep out those who may not call; none where nobody authenticates them. */
export function accessLayers(
  { authenticate, endStreamsAtExpiry = true, accessOf }: AuthenticationSettings & { readonly accessOf: AccessOf },
  clock: Clock,
  observer: Observer | undefined,
): ServerLayers {
  if (authenticate === undefined) return {};
  const authenticators = authenticatorsOf({ authenticate });
  return {
    authentication: authenticationLayer({ authenticators, accessOf, endStreamsAtExpiry, clock, observer }),
    permission: permissionLayer({ accessOf, observer }),
  };
}

/** Those that are asked, in their order. */
export function authenticatorsOf({ authenticate = [] }: AuthenticationSettings): readonly Authenticator[] {
  return typeof authenticate === "function" ? [authenticate] : authenticate;
}
