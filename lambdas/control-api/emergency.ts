import { setTimeout as sleep } from 'node:timers/promises';
import { looksLikeId } from '../../shared/api/messages.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

/** How long an emergency waits for the ledger: revocation never waits for anything else (hard decision 3). */
export const LEDGER_LIMIT_MS = 500;

const NOBODY_ANSWERED = Symbol('no answer');

/**
 * The ids behind what an emergency names. Every unknown name is listed in one error. Where the ledger doesn't answer
 * in time, ids are taken at their word and names are handed back as `unresolved`.
 * @throws RekeyError ERR_NOT_FOUND, or ERR_UNAVAILABLE where the ledger doesn't answer and no id was given.
 */
export async function resolveForEmergency(
  ledger: Ledger,
  given: readonly string[],
  limitMs: number = LEDGER_LIMIT_MS,
): Promise<{ ids: string[]; unresolved: string[] }> {
  const giveUp = new AbortController();
  const deadline = sleep(limitMs, NOBODY_ANSWERED, { signal: giveUp.signal }).catch(() => NOBODY_ANSWERED);
  const found = await Promise.all(
    [...new Set(given)].map(async (text) => ({
      text,
      id: await Promise.race([idOf(ledger, text).catch(() => NOBODY_ANSWERED), deadline]),
    })),
  );
  giveUp.abort();

  const unknown = found.filter(({ id }) => id === undefined).map(({ text }) => text);
  if (unknown.length > 0) {
    throw new RekeyError('ERR_NOT_FOUND', `no such credential: ${unknown.join(', ')}. Nothing was revoked`, {
      field: 'credentials',
      remedy: 'correct the names; `rekey list` has them all',
    });
  }
  const unread = found.filter(({ id }) => id === NOBODY_ANSWERED).map(({ text }) => text);
  const ids = [
    ...found.map(({ id }) => id).filter((id) => typeof id === 'string'),
    ...unread.filter((text) => looksLikeId(text)),
  ];
  if (ids.length === 0) {
    throw new RekeyError('ERR_UNAVAILABLE', 'the ledger does not answer, so names cannot be looked up', {
      field: 'credentials',
      remedy: 'name the credentials by their ids: those are revoked without the ledger',
    });
  }
  return { ids: [...new Set(ids)], unresolved: unread.filter((text) => !looksLikeId(text)) };
}

async function idOf(ledger: Ledger, text: string): Promise<string | undefined> {
  const [byId, byName] = await Promise.all([ledger.credential(text), ledger.idByName(text)]);
  return byId?.id ?? byName;
}
