import { setTimeout as sleep } from 'node:timers/promises';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { CredentialView, ListAnswer, RotationView, ShowAnswer } from '../../shared/api/messages.ts';

/** Watches any number of credentials at the cost of one: whoever waits shares a look at all of them. */
export class Watched {
  readonly #env: Readonly<Record<string, string>>;
  #looking: Promise<ReadonlyMap<string, CredentialView>> | undefined;

  constructor(env: Readonly<Record<string, string>>) {
    this.#env = env;
  }

  /** What `told` first finds in the credential. */
  async until<T>(
    name: string,
    told: (credential: CredentialView) => T | undefined | Promise<T | undefined>,
    timeoutMs = 120_000,
  ): Promise<T> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const credential = (await this.#look()).get(name);
      const found = credential === undefined ? undefined : await told(credential);
      if (found !== undefined) return found;
      if (Date.now() > end) {
        const { rotation, emergency } = credential ?? {};
        throw new Error(`${name} stays at ${JSON.stringify({ rotation, emergency })}`);
      }
      await sleep(500);
    }
  }

  /** The rotation, once nothing happens in it any more. */
  async over(name: string, id: string): Promise<RotationView> {
    return this.until(name, async ({ rotation }) => {
      if (rotation?.id === id) return undefined;
      // Either over or begun after this look: only its own view tells.
      const { rotations } = await rekeyJson<ShowAnswer>(['show', name], this.#env);
      return rotations.find((each) => each.id === id && each.over);
    });
  }

  async #look(): Promise<ReadonlyMap<string, CredentialView>> {
    this.#looking ??= rekeyJson<ListAnswer>(['list'], this.#env)
      .then(({ credentials }) => new Map(credentials.map((each) => [each.name, each])))
      .finally(() => (this.#looking = undefined));
    return this.#looking;
  }
}

/** How many are led side by side: more of them keep two cores so busy that windows close unseen. */
const AT_A_TIME = 7;

/** What came of each, in their order; one begins as soon as another has ended. */
export async function settledFewAtATime<T>(
  all: readonly T[],
  act: (one: T) => Promise<void>,
): Promise<PromiseSettledResult<void>[]> {
  const outcomes: PromiseSettledResult<void>[] = [];
  const left = all.entries();
  const lead = async (): Promise<void> => {
    for (const [at, one] of left) [outcomes[at]] = await Promise.allSettled([act(one)]);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lead));
  return outcomes;
}
