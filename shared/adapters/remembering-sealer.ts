import type { Redacted } from '../domain/redacted.ts';
import type { SealContext, Sealer } from '../ports/sealer.ts';

/** Most keys that are remembered; each stands for one session. */
const MOST_KEYS = 1000;

/**
 * Remembers the keys of instances that it has opened of late: every heartbeat is checked against one, and to ask KMS each
 * time would cost as much as the heartbeat does. What acknowledgements are held against is opened anew each time.
 */
export class RememberingSealer implements Sealer {
  readonly #sealer: Sealer;
  readonly #most: number;
  /** The latest stands last. */
  readonly #known = new Map<string, Redacted<Uint8Array>>();

  constructor(sealer: Sealer, most = MOST_KEYS) {
    this.#sealer = sealer;
    this.#most = most;
  }

  seal(secret: Redacted<Uint8Array>, context: SealContext): Promise<string> {
    return this.#sealer.seal(secret, context);
  }

  async unseal(sealed: string, context: SealContext): Promise<Redacted<Uint8Array>> {
    if (context.purpose !== 'instance') return this.#sealer.unseal(sealed, context);
    const name = JSON.stringify([sealed, context.of, context.id]);
    const opened = this.#known.get(name) ?? (await this.#sealer.unseal(sealed, context));
    this.#known.delete(name);
    this.#known.set(name, opened);
    const [oldest] = this.#known.keys();
    if (this.#known.size > this.#most && oldest !== undefined) this.#known.delete(oldest);
    return opened;
  }
}
