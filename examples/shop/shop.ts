import { ServiceProcess } from "./processes.ts";
import type { Settings } from "./settings.ts";

/** The running shop: its services, and replicas of them that the tour starts. */
export class Shop {
  readonly settings: Settings;
  readonly users: ServiceProcess;
  readonly orders: ServiceProcess;
  /** Rejects when one of the two services ends before the shop is stopped. */
  readonly crashed: Promise<never>;
  readonly #replicas = new Set<ServiceProcess>();
  #stopping = false;

  private constructor(settings: Settings, users: ServiceProcess, orders: ServiceProcess) {
    this.settings = settings;
    this.users = users;
    this.orders = orders;
    this.crashed = this.#watch();
    // Whoever does not wait for it does not mind.
    this.crashed.catch(() => {});
  }

  /** Starts the users service, then the orders service, which asks it. */
  static async start(settings: Settings): Promise<Shop> {
    const users = await ServiceProcess.start("users", {});
    try {
      const orders = await ServiceProcess.start("orders", { SHOP_USERS_TARGET: users.target });
      return new Shop(settings, users, orders);
    } catch (error) {
      await users.stop();
      throw error;
    }
  }

  /** Starts another process of a service, on a free port and on the same data. */
  async startReplica(service: "orders" | "users", env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
    if (this.#stopping) throw new Error("the shop is being stopped");
    const replica = await ServiceProcess.start(service, {
      SHOP_ORDERS_PORT: "0",
      SHOP_USERS_PORT: "0",
      SHOP_USERS_TARGET: this.users.target,
      ...env,
    });
    this.#replicas.add(replica);
    void replica.exited.then(() => this.#replicas.delete(replica));
    return replica;
  }

  /** Drains and ends every process: whoever asks before whoever is asked. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#replicas].map((replica) => replica.stop()));
    await this.orders.stop();
    await this.users.stop();
  }

  async #watch(): Promise<never> {
    const service = await Promise.race([this.users, this.orders].map((one) => one.exited.then(() => one.service)));
    if (this.#stopping) return new Promise(() => {});
    throw new Error(`the ${service} service ended unexpectedly`);
  }
}
