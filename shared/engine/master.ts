import { isRekeyError, RekeyError } from '../domain/errors.ts';
import type { Redacted } from '../domain/redacted.ts';
import type { EngineDeps } from './deps.ts';

interface AdminValue {
  readonly secret: string;
  readonly value: Redacted<string>;
}

/**
 * Does `work`, and tells an administrative login that is wrong from one that is being replaced at this instant: between the
 * change at the upstream and the move of AWSCURRENT the value that can be read is refused, and so is that of a root which an
 * emergency has revoked. A step that meets this is repeated, and reads the secret anew; it must neither undo the dependant's
 * rotation nor page.
 */
export async function underMaster<D extends EngineDeps, T>(
  deps: D,
  work: (deps: D) => Promise<T>,
): Promise<T> {
  const watch = new MasterWatch(deps);
  try {
    return await work(watch.deps);
  } catch (error) {
    throw await watch.explain(error);
  }
}

class MasterWatch<D extends EngineDeps> {
  /** What the step is to work with. */
  readonly deps: D;
  #used: AdminValue | undefined;

  constructor(deps: D) {
    this.deps = {
      ...deps,
      readAdmin: async (secret) => {
        const value = await deps.readAdmin(secret);
        this.#used = { secret, value };
        return value;
      },
    };
  }

  /** `error`, or ERR_UNAVAILABLE in its place where the login was refused because its secret is moving. */
  async explain(error: unknown): Promise<unknown> {
    if (!isRekeyError(error, 'ERR_ADMIN_DENIED') || this.#used === undefined) return error;
    if (!(await this.#isMoving(this.#used)) && !(await this.#isRevoked(this.#used))) return error;
    return new RekeyError('ERR_UNAVAILABLE', 'the administrative login is being replaced itself', {
      field: 'admin',
      remedy: 'nothing is to be done: the step is repeated with the new login',
      cause: error,
    });
  }

  /** The pending value first: once that is current, the value that was used isn't any more. */
  async #isMoving({ secret, value }: AdminValue): Promise<boolean> {
    for (const stage of ['AWSPENDING', 'AWSCURRENT'] as const) {
      const now = await this.deps.vault.read(secret, { stage });
      if (now !== undefined && now.reveal() !== value.reveal()) return true;
    }
    return false;
  }

  /** By an emergency, whose successor isn't there yet. */
  async #isRevoked({ secret }: AdminValue): Promise<boolean> {
    const id = await this.deps.ledger.idBySecret(secret);
    return id !== undefined && (await this.deps.ledger.credential(id))?.status === 'halted';
  }
}
