import { RekeyError } from '../../shared/domain/errors.ts';
import type { AnyProvider } from '../../shared/providers/provider.ts';
import type { Deactivation } from '../../shared/domain/evidence.ts';
import type { EngineCase } from './engine-world.ts';

/**
 * The person who ends what nobody else can: from `enter` on the case's upstream is one whose credentials only they end. The
 * upstream itself stays the real one.
 */
export class Operator {
  readonly #one: EngineCase;
  /** What they were asked to end and how it is done, by handle. */
  readonly #asked = new Map<string, () => Promise<Deactivation>>();
  /** How often the upstream was asked in vain. */
  looks = 0;
  /** After so many looks in vain they have done it, without a word; never where it isn't set. */
  actsAfter: number = Infinity;

  private constructor(one: EngineCase) {
    this.#one = one;
  }

  static enter(one: EngineCase, actsAfter = Infinity): Operator {
    const operator = new Operator(one);
    operator.actsAfter = actsAfter;
    one.change = (deps) => ({
      ...deps,
      providerFor: async (type, name) => operator.#byHand(await deps.providerFor(type, name)),
    });
    return operator;
  }

  /** Ends at the upstream all that they were asked to. */
  async act(): Promise<void> {
    for (const [key, end] of this.#asked) {
      this.#asked.delete(key);
      const { confirmed, detail } = await end();
      if (!confirmed) throw new RekeyError('ERR_UNAVAILABLE', detail);
    }
  }

  /** What the verifying function answers the API. */
  deactivation = async ({ handle }: { readonly handle: { readonly id: string } }): Promise<Deactivation> =>
    this.#seen(handle.id, await this.#one.works(await this.#login(handle.id)));

  async #login(id: string) {
    const { current } = await this.#one.credential();
    return this.#one.login({ stage: current?.handle.id === id ? 'AWSCURRENT' : 'AWSPREVIOUS' });
  }

  #seen(id: string, isAlive: boolean): Deactivation {
    return {
      confirmed: !isAlive,
      method: 'negative-authentication',
      observedAt: new Date(this.#one.time.now()).toISOString(),
      detail: `${id} is ${isAlive ? 'taken' : 'refused'}`,
      ...(isAlive ? { byHand: `delete the key "${id}" at https://console.example` } : {}),
    };
  }

  #byHand(provider: AnyProvider): AnyProvider {
    const { suspension: _none, ...rest } = provider;
    return {
      ...rest,
      revocation: 'manual',
      revoke: async (target, handle, options, ctx) => {
        const open = await this.#one.openSlots();
        if (!open.includes(handle.id)) return this.#seen(handle.id, false);
        this.#asked.set(handle.id, async () => provider.revoke(target, handle, options, ctx));
        this.looks++;
        if (this.looks > this.actsAfter) {
          await this.act();
          return this.#seen(handle.id, false);
        }
        return this.#seen(handle.id, true);
      },
    };
  }
}
