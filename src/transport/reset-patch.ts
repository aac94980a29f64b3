import { Http2SubchannelCall } from "@grpc/grpc-js/build/src/subchannel-call.js";

/** What is used of grpc-js's call on one HTTP/2 stream. */
interface SubchannelCall {
  readonly http2Stream: { readonly writableEnded: boolean; end: () => unknown };
  cancelWithStatus(status: number, details: string): void;
}

/**
 * Makes grpc-js's clients, in this process, reset a stream without ending it first.
 *
 * `close()` of node:http2 ends the writable half, and sends the reset in a later write. For that moment the server
 * sees a request stream that the client has finished: a handler that is fed by it takes a cancelled upload for a
 * complete one. Here the half stays open, so that the reset is all that is sent.
 */
function resetWithoutEnding(prototype: SubchannelCall): void {
  const cancelWithStatus = prototype.cancelWithStatus;
  prototype.cancelWithStatus = function (status, details) {
    if (!this.http2Stream.writableEnded) this.http2Stream.end = () => this.http2Stream;
    cancelWithStatus.call(this, status, details);
  };
}

resetWithoutEnding(Http2SubchannelCall.prototype as unknown as SubchannelCall);
