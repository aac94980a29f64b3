import { EventEmitter } from "node:events";
import { Metadata } from "@grpc/grpc-js";
import { type GrpcServerCall, IncomingCall } from "../../src/transport/incoming-call.ts";

/** What a scripted call arrives with. */
export interface Arrival {
  /** Milliseconds of wall time. Default: none. */
  readonly wallDeadline?: number;
  readonly metadata?: Record<string, string>;
  readonly peer?: string;
}

/** A call on grpc-js's server, as a test makes it. */
export class ScriptedArrival extends EventEmitter implements GrpcServerCall {
  cancelled = false;
  readonly metadata = new Metadata();
  /** Every header that was sent. */
  readonly sentHeaders: Record<string, unknown>[] = [];
  readonly #arrival: Arrival;

  constructor(arrival: Arrival = {}) {
    super();
    this.#arrival = arrival;
    for (const [key, value] of Object.entries(arrival.metadata ?? {})) this.metadata.set(key, value);
  }

  /** The call as servers take it. */
  get call(): IncomingCall {
    return new IncomingCall(this);
  }

  getDeadline(): number {
    return this.#arrival.wallDeadline ?? Number.POSITIVE_INFINITY;
  }

  getPeer(): string {
    return this.#arrival.peer ?? "10.0.0.7:5123";
  }

  sendMetadata(header: Metadata): void {
    this.sentHeaders.push(header.getMap());
  }

  getMetricsRecorder(): object {
    return this;
  }

  /** The client leaves. */
  cancel(): void {
    this.cancelled = true;
    this.emit("cancelled");
  }
}
