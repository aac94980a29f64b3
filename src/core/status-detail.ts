/**
 * What an error may say about itself besides code and text, for programs to read: the types of
 * google/rpc/error_details.proto, and any message of one's own. `$type` tells them apart.
 */
export type StatusDetail =
  | ErrorInfo
  | RetryInfo
  | DebugInfo
  | QuotaFailure
  | PreconditionFailure
  | BadRequest
  | RequestInfo
  | ResourceInfo
  | Help
  | LocalizedMessage
  | AnyDetail;

/** Why the call failed, as a stable name. */
export interface ErrorInfo {
  readonly $type: "google.rpc.ErrorInfo";
  /** In UPPER_SNAKE_CASE: `"OUT_OF_STOCK"`. */
  readonly reason: string;
  /** Whose reason it is: `"shop.example.com"`. */
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** When to try again; the retry policy obeys it as it does a pushback (gRFC A6). */
export interface RetryInfo {
  readonly $type: "google.rpc.RetryInfo";
  /** Milliseconds until the next attempt may be made; left out if the server does not say. */
  readonly retryDelayMs?: number;
}

/** For whoever debugs the server. Not for the public. */
export interface DebugInfo {
  readonly $type: "google.rpc.DebugInfo";
  readonly stackEntries: readonly string[];
  readonly detail: string;
}

/** Which quotas were exceeded. */
export interface QuotaFailure {
  readonly $type: "google.rpc.QuotaFailure";
  readonly violations: readonly QuotaViolation[];
}

/** One quota that was exceeded. */
export interface QuotaViolation {
  /** Whose quota it is: `"clientip:10.0.0.1"`. */
  readonly subject: string;
  readonly description: string;
  readonly apiService: string;
  readonly quotaMetric: string;
  readonly quotaId: string;
  readonly quotaDimensions: Readonly<Record<string, string>>;
  readonly quotaValue: bigint;
  /** What the quota is about to become, if it is being changed. */
  readonly futureQuotaValue?: bigint;
}

/** What did not hold that must hold for the call. */
export interface PreconditionFailure {
  readonly $type: "google.rpc.PreconditionFailure";
  readonly violations: readonly PreconditionViolation[];
}

/** One thing that did not hold. */
export interface PreconditionViolation {
  /** A name of the service's own: `"TERMS_OF_SERVICE"`. */
  readonly type: string;
  readonly subject: string;
  readonly description: string;
}

/** Which fields of the request are wrong. */
export interface BadRequest {
  readonly $type: "google.rpc.BadRequest";
  readonly fieldViolations: readonly FieldViolation[];
}

/** One field that is wrong. */
export interface FieldViolation {
  /** Its path, as the contract names fields: `"items[0].quantity"`. */
  readonly field: string;
  readonly description: string;
  /** Why, as a stable name. */
  readonly reason: string;
  readonly localizedMessage?: LocalizedText;
}

/** What tells the call from others, for whoever asks the operator about it. */
export interface RequestInfo {
  readonly $type: "google.rpc.RequestInfo";
  readonly requestId: string;
  readonly servingData: string;
}

/** Which resource it is about. */
export interface ResourceInfo {
  readonly $type: "google.rpc.ResourceInfo";
  readonly resourceType: string;
  readonly resourceName: string;
  readonly owner: string;
  readonly description: string;
}

/** Where to read on. */
export interface Help {
  readonly $type: "google.rpc.Help";
  readonly links: readonly HelpLink[];
}

/** One page to read on. */
export interface HelpLink {
  readonly description: string;
  readonly url: string;
}

/** A text for whoever uses the application. */
export interface LocalizedMessage extends LocalizedText {
  readonly $type: "google.rpc.LocalizedMessage";
}

/** A text in a language. */
export interface LocalizedText {
  /** BCP 47: `"en-US"`. */
  readonly locale: string;
  readonly message: string;
}

/** A detail of another type, or one that cannot be read: as it came. */
export interface AnyDetail {
  readonly $type: "google.protobuf.Any";
  /** `type.googleapis.com/package.Message`. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** The `$type` of a detail. */
export type StatusDetailType = StatusDetail["$type"];

/** The detail with a `$type`. */
export type StatusDetailOf<Type extends StatusDetailType> = Extract<StatusDetail, { readonly $type: Type }>;

type Init<T> = T extends string | number | bigint | Uint8Array
  ? T
  : T extends readonly (infer Element)[]
    ? readonly Init<Element>[]
    : { readonly [Key in keyof T]?: Init<T[Key]> | undefined };

/** A detail as a server writes it: fields may be left out. */
export type StatusDetailInit =
  | AnyDetail
  | {
      [Type in Exclude<StatusDetailType, "google.protobuf.Any">]: { readonly $type: Type } & Init<
        Omit<StatusDetailOf<Type>, "$type">
      >;
    }[Exclude<StatusDetailType, "google.protobuf.Any">];
