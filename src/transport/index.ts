import "./reset-patch.ts";

// nice-grpc's own values that client and server need: nothing else imports the package at run time.
export { composeClientMiddleware, Metadata, ServerError } from "nice-grpc-common";
export { certificateInterceptor, takeCertificate } from "./certificate-interceptor.ts";
export { type Channel, type ClientTls, type ConnectionOptions, createChannel } from "./channel.ts";
export { type ChannelAttempt, channelAttempt } from "./channel-attempt.ts";
export type { Ending } from "./ending.ts";
export { IncomingCall } from "./incoming-call.ts";
export { niceAttempt } from "./nice-attempt.ts";
export type { NiceCarrier } from "./nice-wire.ts";
export { pushbackOf } from "./pushback.ts";
export type { RefusalListener } from "./refusals.ts";
export { holdBackEnd } from "./request-end.ts";
export type { ResponseSink } from "./response-sink.ts";
export { DEADLINE_KEY, deadlineInterceptor } from "./server-interceptors.ts";
export { defaultServerLimits, type ServerLimits } from "./server-limits.ts";
export {
  type Answer,
  type ServerTls,
  ServerTransport,
  type StreamServer,
  type UnaryServer,
} from "./server-transport.ts";
export { isLoopback } from "./target.ts";
