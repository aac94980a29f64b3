import { ClientState, type Surroundings } from "../../src/client/client-state.ts";
import { fakeClock } from "../../src/testing/index.ts";

/** What a client's calls share, on a clock that stands still unless the test moves it. */
export function aClientState(changes: Partial<Surroundings> = {}): ClientState {
  const nobody = { observer: undefined, target: undefined };
  return new ClientState({ clock: fakeClock(), random: () => 0.5, ...nobody, ...changes });
}
