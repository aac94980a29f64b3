// opossum comes without types; this is what is used of it.
declare module "opossum" {
  interface Options {
    /** In milliseconds; false for none. */
    readonly timeout: number | false;
    readonly resetTimeout: number;
    readonly errorThresholdPercentage: number;
    readonly rollingCountTimeout: number;
    readonly volumeThreshold: number;
  }

  export default class CircuitBreaker<In, Out> {
    constructor(action: (input: In) => Promise<Out>, options: Options);
    fire(input: In): Promise<Out>;
    shutdown(): void;
  }
}
