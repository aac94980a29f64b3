import { ServerReflection as ReflectionV1 } from "../../gen/grpc/reflection/v1/reflection.contract.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection.contract.ts";
import { Health as HealthContract } from "../../gen/health/v1/health.contract.ts";
import { type Contract, requireContract } from "../contract/contract.ts";
import type { Filled } from "../core/check-options.ts";
import { sleep, systemClock } from "../core/clock.ts";
import { CRITICALITY_KEY } from "../core/criticality.ts";
import type { Method } from "../core/method.ts";
import type { ServerLayer, ServeStream, ServeUnary } from "../core/served-call.ts";
import { tell } from "../core/warning.ts";
import { ServerTransport } from "../transport/index.ts";
import { warnOfAbandoned } from "./abandoned-calls.ts";
import { ActiveCalls } from "./active-calls.ts";
import { AdminServer } from "./admin/admin-server.ts";
import { Probes } from "./admin/probes.ts";
import { type AccessOf, contractAccess, healthAccess, reflectionAccess, sameAccess } from "./authentication/access.ts";
import { withLateRequest } from "./authentication/late-request.ts";
import { serveUnknown } from "./authentication/unknown-methods.ts";
import { methodPaths } from "./contract-methods.ts";
import { meetNeeds } from "./contract-needs.ts";
import { drainOnSignal } from "./drain-on-signal.ts";
import { type DrainOptions, resolveDrain } from "./drain-options.ts";
import { foreignLayer } from "./foreign-middleware.ts";
import { CheckRunner } from "./health/check-runner.ts";
import { Health } from "./health/health.ts";
import { healthHandlers } from "./health/health-handlers.ts";
import { serverLayers } from "./layers/index.ts";
import { unservedLimits } from "./limits/load-options.ts";
import { ServerLoad } from "./limits/server-load.ts";
import { refusalsTo } from "./limits/tell-refusals.ts";
import { composeServeStream, composeServeUnary } from "./pipeline.ts";
import { reflectionHandlers } from "./reflection.ts";
import { handlerProblems, servedMethods } from "./served-methods.ts";
import { ServerContext } from "./server-context.ts";
import {
  checkAdminAddress,
  checkListenOptions,
  checkServerOptions,
  type ListenOptions,
  limitsOf,
  type ServerOptions,
  writeError,
} from "./server-options.ts";
import { type Serving, streamServer, unaryServer } from "./service.ts";

/** How long the answers of calls that a drain breaks off have to leave, in milliseconds. */
const LAST_ANSWERS_MS = 100;

/** Why no further address is served. */
const DRAINED = "the server is drained, and does not begin again: make a new one with createServer()";

/** How a drain went. */
export interface DrainResult {
  /**
   * How many handlers had not ended when the time was up, whether or not their clients still waited; those who did were
   * answered UNAVAILABLE. A drain that a signal began says them in a warning of the process, by method.
   */
  readonly abandoned: number;
}

/**
 * Makes a server. Health and reflection are included.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function createServer(options: ServerOptions = {}): Server {
  checkServerOptions(options);
  return new Server(options);
}

/** A gRPC server; made by `createServer`. */
export class Server {
  /** What the standard health service says, and the checks behind it. Every added service is SERVING unless they fail. */
  readonly health: Health;
  readonly #checks: CheckRunner;
  readonly #admin: AdminServer;
  readonly #options: ServerOptions;
  readonly #transport: ServerTransport;
  readonly #active = new ActiveCalls();
  readonly #contracts: Contract[] = [];
  readonly #serving: Serving;
  readonly #load: ServerLoad;
  #stopSignals: (() => void) | undefined;
  #draining: Promise<DrainResult> | undefined;
  /** The drain's delay is over. */
  #closing = false;

  /** @internal Use `createServer`. */
  constructor(options: ServerOptions) {
    this.#options = options;
    const { observer, maxConcurrentChecks: maxConcurrent } = options;
    this.#checks = new CheckRunner({ clock: systemClock, maxConcurrent, observer });
    this.health = new Health(this.#checks);
    this.#admin = new AdminServer(new Probes(this.health, this.#checks));
    const onError = options.onError ?? writeError;
    this.#transport = new ServerTransport(limitsOf(options), options.channelOptions, (error, method, call) =>
      tell("onError threw", () => onError(error, new ServerContext(method, call, systemClock))),
    );
    if (observer) this.#transport.tellRefusals(refusalsTo(observer, limitsOf(options)));
    const { rateLimit, shed } = options;
    this.#load = new ServerLoad({ rateLimit, shed, clock: systemClock, observer: options.observer, onError });
    // nice-grpc's middlewares and grpc-js's interceptors want to see all calls.
    const { interceptors } = (options.channelOptions ?? {}) as { interceptors?: readonly unknown[] };
    if (!options.use?.length && !interceptors?.length) {
      this.#transport.refuseEarly((path, text) =>
        this.#closing ? undefined : this.#load.refusal(path, text(CRITICALITY_KEY)),
      );
    }
    this.#serving = {
      clock: systemClock,
      active: this.#active,
      onError,
      isDraining: () => this.#closing,
    };
    this.#addBuiltIn(HealthContract, healthHandlers(this.health), healthAccess);
    const reflection = reflectionAccess(options);
    if (reflection) {
      const handlers = reflectionHandlers(() => this.#contracts, options.validation ? options.validation.files : []);
      this.#addBuiltIn(ReflectionV1, handlers, sameAccess(reflection));
      this.#addBuiltIn(ReflectionV1Alpha, handlers, sameAccess(reflection));
    }
    if (options.authenticate) serveUnknown(this.#transport, this.#serving, options, this.#load);
  }

  /** How many handlers are running. */
  get activeCalls(): number {
    return this.#active.count;
  }

  /**
   * Serves a contract's service.
   *
   * @param handlers a function per method, with nice-grpc's signatures.
   * @throws TypeError that lists everything that is wrong: methods without a handler; functions of an object literal
   *   that no method goes by; a service that was added before; a contract with idempotency keys and a server with no
   *   store for them, with `auth` and a server that authenticates nobody, with constraints and a server that does not
   *   evaluate them or cannot.
   */
  add<Handlers extends object>(
    contract: Contract<Contract["definition"], unknown, Handlers>,
    handlers: NoInfer<Handlers>,
  ): this {
    requireContract(contract, "server.add");
    this.#add(contract, handlers, this.#options.use ?? []);
    this.health.add(contract.name);
    return this;
  }

  /**
   * Binds an address and begins to serve. May be called for several addresses; one that this server serves already is
   * left as it is.
   *
   * @param address `host:port`, with port 0 for a free one, or `unix:/path`.
   * @returns the port.
   * @throws Error if the address cannot be bound, or if the server drains or has; TypeError that lists everything that
   *   is wrong with it and the options, and health checks, health settings and rate limits of what was not added.
   */
  async listen(address: string, options: ListenOptions = {}): Promise<number> {
    const served = this.#contracts.filter(({ name }) => !name.startsWith("grpc.")).flatMap(methodPaths);
    const unserved = unservedLimits(this.#options.rateLimit, served);
    checkListenOptions(address, options, [...this.health.problems(), ...unserved]);
    if (this.#draining) throw new Error(`cannot listen on ${address}: ${DRAINED}`);
    const port = await this.#transport.listen(address, options.tls);
    this.#checks.start();
    if (!this.#draining) {
      this.#stopSignals ??= drainOnSignal(this.#options.drainOn ?? ["SIGTERM"], () => this.#drainBySignal());
    }
    return port;
  }

  /**
   * Serves `/livez`, `/readyz` and `/startupz` over HTTP, for orchestrators and load balancers that do not speak gRPC;
   * until a drain is over. What it says of checks that fail is not for strangers.
   *
   * @param address `host:port`, with port 0 for a free one, or `unix:/path`. Default: `127.0.0.1:8081`, which only this
   *   machine can reach; where Kubernetes is to, `0.0.0.0:8081`.
   * @returns the port.
   * @throws TypeError for what is no address; Error if it cannot be bound, or if the server is drained.
   */
  async listenAdmin(address = "127.0.0.1:8081"): Promise<number> {
    checkAdminAddress(address);
    return this.#admin.listen(address);
  }

  /**
   * Stops without losing work: health says NOT_SERVING, and after a delay connections are told to go elsewhere, open
   * streams end with UNAVAILABLE and the trailer `bowline-drain`, calls under way finish. Whatever has not finished in
   * time is broken off. Called again, it returns the drain that is under way.
   *
   * @throws TypeError that lists everything that is wrong with the options; the server serves on.
   */
  drain(options: DrainOptions = {}): Promise<DrainResult> {
    try {
      const drain = resolveDrain(options, this.#options);
      this.#draining ??= this.#drain(drain);
      return this.#draining;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Nobody gets the result: what became of calls is to be read in the log. */
  #drainBySignal(): Promise<DrainResult> {
    this.#draining ??= this.#drain(resolveDrain({}, this.#options), warnOfAbandoned);
    return this.#draining;
  }

  async #drain({ timeoutMs, delayMs }: Filled<DrainOptions>, onAbandon?: typeof warnOfAbandoned): Promise<DrainResult> {
    this.health.shutDown();
    // One turn of the event loop at least, in which health's watchers are still told NOT_SERVING.
    await sleep(systemClock, delayMs);
    this.#closing = true;
    const closed = this.#transport.shutdown(timeoutMs + LAST_ANSWERS_MS);
    this.#active.drainStreams();
    await this.#within(timeoutMs, Promise.all([closed, this.#active.idle()]));
    const abandoned = this.#active.count;
    onAbandon?.(this.#active.paths, timeoutMs);
    this.#active.abandon();
    if (abandoned > 0) await this.#within(LAST_ANSWERS_MS, closed);
    await this.#admin.close();
    this.#stopSignals?.();
    return { abandoned };
  }

  async #within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
    const timeUp = Promise.withResolvers<void>();
    const timer = systemClock.setTimer(timeoutMs, timeUp.resolve);
    await Promise.race([work, timeUp.promise]);
    timer.cancel();
  }

  #addBuiltIn(contract: Contract, handlers: object, accessOf: AccessOf): void {
    this.#add(contract, handlers, [], accessOf);
  }

  #add(
    contract: Contract,
    handlers: object,
    use: NonNullable<ServerOptions["use"]>,
    accessOf: AccessOf = contractAccess(contract),
  ): void {
    const { checks, problems } = meetNeeds(contract, this.#options);
    this.#refuse(contract, [...handlerProblems(contract, handlers), ...problems]);
    const { observer, idempotency, onError = writeError, authenticate, endStreamsAtExpiry } = this.#options;
    const access = { authenticate, endStreamsAtExpiry, accessOf };
    // nice-grpc's middlewares want to see messages.
    const encoded = use.length === 0;
    const layers = serverLayers(contract, observer, systemClock, {
      idempotency,
      encoded,
      onError,
      access,
      load: this.#load,
      checks,
    });
    const arriving = authenticate && encoded ? withLateRequest : (method: Method) => method;
    const foreign = use.map((middleware) => foreignLayer(middleware));
    for (const { method, handler } of servedMethods(contract, handlers)) {
      if (method.responseStream) {
        const serve = composeServeStream(layers, handler as ServeStream, method);
        this.#transport.addStream(
          arriving(method),
          streamServer(method, wrapStream(foreign, serve, method), this.#serving),
        );
      } else {
        const serve = composeServeUnary(layers, handler as ServeUnary, method);
        this.#transport.addUnary(
          arriving(method),
          unaryServer(method, wrapUnary(foreign, serve, method), this.#serving),
        );
      }
    }
    this.#contracts.push(contract);
  }

  /** @throws TypeError that lists the problems, and that the service was added before. */
  #refuse({ name }: Contract, found: readonly string[]): void {
    const again = this.#contracts.some((contract) => contract.name === name);
    const problems = [...(again ? ["the service is served already"] : []), ...found];
    if (problems.length > 0) throw new TypeError(`${name}: ${problems.join("; ")}`);
  }
}

function wrapUnary(foreign: readonly ServerLayer[], serve: ServeUnary, method: Method): ServeUnary {
  return foreign.reduceRight((next, layer) => layer.unary(next, method), serve);
}

function wrapStream(foreign: readonly ServerLayer[], serve: ServeStream, method: Method): ServeStream {
  return foreign.reduceRight((next, layer) => layer.stream(next, method), serve);
}
