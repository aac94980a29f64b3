import { composeUnary } from "../../src/client/pipeline.ts";
import { LivePolicies } from "../../src/client/updates/live-policies.ts";
import type { PolicyChanges } from "../../src/client/updates/policy-changes.ts";
import { toMethod } from "../../src/contract/definition.ts";
import type { UnaryHandler } from "../../src/core/call.ts";
import { fakeClock } from "../../src/testing/index.ts";
import { type ItemsClient, itemsContract } from "./batched-items.ts";
import { aClientState } from "./client-state.ts";
import { aCall, ScriptedUnary } from "./scripted.ts";

/** A client whose calls of GetItem are gathered, and which can be updated; the batches are in the test's hands. */
export class LiveItems {
  readonly clock = fakeClock();
  readonly state = aClientState({ clock: this.clock });
  readonly batches = new ScriptedUnary();
  readonly #contract;
  readonly #policies: LivePolicies;
  readonly #handlers = new Map<string, UnaryHandler>();

  constructor(batch: { readonly maxSize: number; readonly maxWaitMs: number }) {
    this.#contract = itemsContract(batch);
    this.#policies = new LivePolicies(this.#contract, {}, this.state);
    const { definition } = this.#contract;
    const attempt = { unary: this.batches.handler, stream: () => null as never };
    for (const [key, described] of Object.entries(definition.methods)) {
      const method = toMethod(definition, described);
      this.#policies.follow(key, method, (layers) => {
        const handler = composeUnary(layers, attempt, method);
        this.#handlers.set(key, handler);
        this.state.pipelines.set(key, handler);
      });
    }
  }

  update(changes: PolicyChanges<ItemsClient> = {}): void {
    this.#policies.update(changes);
  }

  call(id: string): void {
    const { definition } = this.#contract;
    const method = toMethod(definition, definition.methods.getItem);
    const call = aCall({ method, request: { id }, startedAt: this.clock.now() });
    this.#handlers
      .get("getItem")?.(call)
      .catch(() => {});
  }

  /** The ids in each batch that was sent, and in each call by itself. */
  sent(): string[][] {
    return this.batches.calls.map(({ request }) => {
      const { requests = [request] } = request as { requests?: { id: string }[] };
      return requests.map((one) => (one as { id: string }).id);
    });
  }
}
