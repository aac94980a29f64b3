export { clientMiddleware, type MiddlewareCallOptions } from "./client-middleware.ts";
export type { ClientOptions, PipelineOptions } from "./client-options.ts";
export { closeClient, createClient } from "./create-client.ts";
