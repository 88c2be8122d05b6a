import { isRekeyError, RekeyError } from '../domain/errors.ts';
import type { Redacted } from '../domain/redacted.ts';
import type { EngineDeps } from './deps.ts';

interface AdminValue {
  readonly secret: string;
  readonly value: Redacted<string>;
}

/**
 * Tells an administrative login that is wrong from one that is being rotated at this instant: between the change at the
 * upstream and the move of AWSCURRENT the value that can be read is refused. A step that meets this is repeated, and
 * reads the secret anew; it must not undo the dependant's rotation.
 */
export class MasterWatch {
  /** What the step is to work with. */
  readonly deps: EngineDeps;
  #used: AdminValue | undefined;

  constructor(deps: EngineDeps) {
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
    if (!(await this.#isMoving(this.#used))) return error;
    return new RekeyError('ERR_UNAVAILABLE', 'the administrative login is being rotated itself', {
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
}
