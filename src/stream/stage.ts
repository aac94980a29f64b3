import { Outlet } from "./outlet.ts";
import { Intake, type Sink } from "./upstream.ts";

/** An outlet with one source: it ends as that does, and leaves it when it is left. */
export abstract class Stage<In, Out = In> extends Outlet<Out> implements Sink<In> {
  protected readonly intake: Intake<In>;

  constructor(source: AsyncIterable<In>, signal: AbortSignal | undefined) {
    super(signal);
    this.intake = new Intake(source, this);
  }

  abstract message(message: In): void;

  done(): void {
    this.finish();
  }

  failed(error: unknown): void {
    this.finish({ error });
  }

  protected leave(): Promise<void> {
    return this.intake.leave();
  }
}
