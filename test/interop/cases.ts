/** The cases of gRPC's interoperability suite, as its description and the clients of its implementations name them. */
export const CASES = [
  "empty_unary",
  "cacheable_unary",
  "large_unary",
  "client_compressed_unary",
  "server_compressed_unary",
  "client_streaming",
  "client_compressed_streaming",
  "server_streaming",
  "server_compressed_streaming",
  "ping_pong",
  "empty_stream",
  "compute_engine_creds",
  "compute_engine_channel_credentials",
  "google_default_credentials",
  "service_account_creds",
  "oauth2_auth_token",
  "per_rpc_creds",
  "jwt_token_creds",
  "custom_metadata",
  "status_code_and_message",
  "special_status_message",
  "unimplemented_method",
  "unimplemented_service",
  "cancel_after_begin",
  "cancel_after_first_response",
  "timeout_on_sleeping_server",
  "pick_first_unary",
  "rpc_soak",
  "channel_soak",
  "orca_per_rpc",
  "orca_oob",
] as const;

export type Case = (typeof CASES)[number];

/** Who calls whom. */
export const DIRECTIONS = ["grpc-go to Bowline", "Bowline to grpc-go"] as const;

export type Direction = (typeof DIRECTIONS)[number];

/** What is below HTTP/2. */
export const TRANSPORTS = ["plaintext", "TLS", "mTLS"] as const;

export type Transport = (typeof TRANSPORTS)[number];
