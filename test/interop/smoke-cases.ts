/** What a smoke run executes. */
export const SMOKE_CASES = ["unary", "server_stream", "cancel", "deadline", "metadata", "rich_error"] as const;

export type SmokeCase = (typeof SMOKE_CASES)[number];
