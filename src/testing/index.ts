export type { Answer, AnswerOf, EndOptions, FailureOptions, Repeatable, StreamAnswer, UnaryAnswer } from "./answer.ts";
export { type FakeClock, type FakeClockOptions, fakeClock } from "./fake-clock.ts";
export type { ReceivedCall, Sent } from "./received-call.ts";
export { type CallOf, type Match, type ScriptedServer, scriptedServer } from "./scripted-server.ts";
export { type SeededRandom, seededRandom } from "./seeded-random.ts";
