import { randomUUID } from 'node:crypto';
import { plusSeconds, type Instant } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';
import type { KeyUpstream } from '../http/keys.ts';
import { assertCloses } from '../http/negative.ts';
import type { KeyTarget } from '../http/target.ts';
import { endsAfterInterval } from '../lifetime.ts';

/** Which token: with `id` it is taken as long as the server's list has that id, without it until it expires. */
export interface TokenId {
  readonly id?: string;
  /** The name of the token, for the server's log. */
  readonly subject?: string;
}

/** What a server has of its own that takes tokens which others sign, and keeps a list of those that live. */
export interface TokenServer<T, A> {
  readonly name: string;
  /** A token for what the target declares, until `endsAt`. */
  sign(admin: A, target: T, token: TokenId, endsAt: Instant): string;
  /** Puts a token into the list. */
  enter(api: Api, target: T, id: string, name: string): Promise<unknown>;
  /** Uses a token as an agent would. */
  readonly test: (api: Api, target: T) => Promise<void>;
  /** What to do where the server lets in whoever comes, takes no tokens, or takes those that its list doesn't have. */
  readonly remedies: Readonly<Record<'open' | 'deaf' | 'forgetful', string>>;
}

/** How long a token lives whose interval isn't known, and one that Rekey only tries the server with. */
const LIFE_SECONDS = 60 * 86_400;
const PROBE_SECONDS = 300;

/**
 * Tokens that Rekey signs itself, each of which dies when it is taken out of the server's list: that is all that its
 * `list`, `find` and `remove` are about.
 */
export function signedTokens<T extends KeyTarget, A>(server: TokenServer<T, A>) {
  const { name, test, remedies } = server;
  const probe = (admin: A, target: T, id: string | undefined, now: Instant): string =>
    server.sign(admin, target, id === undefined ? {} : { id }, plusSeconds(now, PROBE_SECONDS));

  return {
    endsAt: endsAfterInterval,

    async create(api, target, subject, admin, { now, endsAt = plusSeconds(now, LIFE_SECONDS) }) {
      const id = randomUUID();
      await server.enter(api, target, id, subject);
      return { id, value: server.sign(admin, target, { id, subject }, endsAt) };
    },

    /** Another token that dies with the entry. */
    valueById: (admin, target, id, now) => probe(admin, target, id, now),

    /** There is no way in without a key, tokens are taken, and none that the list doesn't have. */
    async inspect(as, target, admin, now) {
      await assertCloses(name, async () => test(as(), target), remedies.open);
      try {
        await test(as(probe(admin, target, undefined, now)), target);
      } catch (cause) {
        if (!isRekeyError(cause, 'ERR_REJECTED')) throw cause;
        const problem = `${name} takes no tokens that are signed with its key`;
        const about = { field: 'target.baseUrl', remedy: remedies.deaf, cause };
        throw new RekeyError('ERR_REJECTED', problem, about);
      }
      const stranger = probe(admin, target, randomUUID(), now);
      await assertCloses(name, async () => test(as(stranger), target), remedies.forgetful);
    },

    test,
  } satisfies Partial<KeyUpstream<T, A>>;
}
