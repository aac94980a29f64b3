export { deadlineInterceptor } from "../transport/index.ts";
export { createServer, type DrainResult, Server } from "./create-server.ts";
export { Health, type ServingStatus } from "./health.ts";
export { type MiddlewareContext, type ServerMiddlewareOptions, serverMiddleware } from "./server-middleware.ts";
export type { ListenOptions, ServerOptions } from "./server-options.ts";
