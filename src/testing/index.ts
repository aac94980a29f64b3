export type { Answer, AnswerOf, EndOptions, FailureOptions, Repeatable, StreamAnswer, UnaryAnswer } from "./answer.ts";
export { type FakeClock, type FakeClockOptions, fakeClock } from "./fake-clock.ts";
export {
  type FaultProxy,
  type FaultProxyOptions,
  faultProxy,
  type UnscriptedFaultProxy,
} from "./fault-proxy/fault-proxy.ts";
export type {
  AfterBytes,
  AfterMessages,
  CallFault,
  CallRule,
  ConnectionFault,
  ConnectionRule,
  FaultRule,
  Http2Code,
  StatusTrailer,
  Towards,
  TrailerValue,
  Which,
} from "./fault-proxy/rules.ts";
export type { Seen, SeenCall, SeenConnection } from "./fault-proxy/seen.ts";
export {
  idempotencyStoreSuite,
  type StoreTest,
  type StoreUnderTest,
  type TransactionsUnderTest,
} from "./idempotency-store-suite.ts";
export type { ReceivedCall, Sent } from "./received-call.ts";
export { type CallOf, type Match, type ScriptedServer, scriptedServer } from "./scripted-server.ts";
export { type SeededRandom, seededRandom } from "./seeded-random.ts";
