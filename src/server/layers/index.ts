import type { Clock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import type { ServerLayers } from "../pipeline.ts";
import { deadlineLayer } from "./deadline.ts";
import { telemetryLayer } from "./telemetry.ts";

/** The layers of every served method. */
export function serverLayers(observer: Observer | undefined, clock: Clock): ServerLayers {
  return { deadline: deadlineLayer, ...(observer && { telemetry: telemetryLayer(observer, clock) }) };
}
