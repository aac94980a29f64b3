import type { Contract } from "../../contract/contract.ts";
import type { Clock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import type { ServerLayers } from "../pipeline.ts";
import { deadlineLayer } from "./deadline.ts";
import { heartbeatLayer } from "./heartbeat.ts";
import { telemetryLayer } from "./telemetry.ts";

/** The layers of a contract's methods. */
export function serverLayers(contract: Contract, observer: Observer | undefined, clock: Clock): ServerLayers {
  return {
    deadline: deadlineLayer,
    ...(observer && { telemetry: telemetryLayer(observer, clock) }),
    heartbeat: heartbeatLayer(contract, clock),
  };
}
