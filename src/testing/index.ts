export { type FakeClock, type FakeClockOptions, fakeClock } from "./fake-clock.ts";
export { type SeededRandom, seededRandom } from "./seeded-random.ts";
