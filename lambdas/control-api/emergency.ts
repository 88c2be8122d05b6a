import type { Credential } from '../../shared/domain/credential.ts';
import { looksLikeId } from '../../shared/api/messages.ts';
import { RekeyError, throwAll } from '../../shared/domain/errors.ts';
import { findUnmanaged, notManaged, type Unmanaged } from '../../shared/engine/unmanaged.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { EmergencyInput } from '../../shared/ports/workflow.ts';
import { revocationsByHand } from '../../shared/providers/by-hand.ts';

/** How long the ledger may be silent: an emergency waits for nothing else (hard decision 3). */
export const LEDGER_LIMIT_MS = 500;
/** How long the look-ups may take in all, however well the ledger answers. */
const OVERALL_LIMIT_MS = 5000;
const LOOKUPS_AT_ONCE = 20;

/** How names are looked up. */
export interface ResolveOptions {
  readonly limitMs?: number;
  /** The ids are what a dry run has shown: one that was let go of since keeps none of the others from its end. */
  readonly wereShown?: boolean | undefined;
}

const NOBODY_ANSWERED = Symbol('no answer');

/**
 * The credentials behind what an emergency names, with their types as far as the ledger has told them. Every unknown name is listed in one error, and what Rekey has let go of says
 * how it is revoked by hand. Where the ledger falls silent, ids are taken at their word and names that were not looked up
 * in time are handed back as `unresolved`.
 * @throws RekeyError ERR_NOT_FOUND, ERR_MODE, or ERR_UNAVAILABLE where the ledger doesn't answer and no id was given.
 */
export async function resolveForEmergency(
  ledger: Ledger,
  given: readonly string[],
  { limitMs = LEDGER_LIMIT_MS, wereShown = false }: ResolveOptions = {},
): Promise<{ credentials: EmergencyInput['credentials']; unresolved: string[] }> {
  const found = await lookUp(ledger, [...new Set(given)], limitMs);

  const letGo = found.flatMap(({ answer }) =>
    typeof answer === 'object' && 'byHand' in answer ? [answer] : [],
  );
  const gone = wereShown ? [] : letGo;
  const unknown = found.filter(({ answer }) => answer === undefined).map(({ text }) => text);
  throwAll([...gone.map(notManaged), ...(unknown.length === 0 ? [] : [unknownNames(unknown)])]);
  const unread = found.filter(({ answer }) => answer === NOBODY_ANSWERED).map(({ text }) => text);
  const credentials = [
    ...found.flatMap(({ answer }) =>
      typeof answer === 'object' && 'credentialId' in answer ? [answer] : [],
    ),
    ...unread.filter((text) => looksLikeId(text)).map((credentialId) => ({ credentialId })),
    // Their part of the emergency says how they are revoked by hand.
    ...(wereShown ? letGo.map(({ id }) => ({ credentialId: id })) : []),
  ];
  if (credentials.length === 0) {
    throw new RekeyError('ERR_UNAVAILABLE', 'the ledger does not answer: no name was looked up in time', {
      field: 'credentials',
      remedy: 'name the credentials by their ids: those are revoked without the ledger',
    });
  }
  return {
    // A name and the id of the same credential are one.
    credentials: [...new Map(credentials.map((each) => [each.credentialId, each])).values()],
    unresolved: unread.filter((text) => !looksLikeId(text)),
  };
}

function unknownNames(unknown: readonly string[]): RekeyError {
  return new RekeyError('ERR_NOT_FOUND', `no such credential: ${unknown.join(', ')}. Nothing was revoked`, {
    field: 'credentials',
    remedy: 'correct the names; `rekey list` has them all',
  });
}

/** Looks all of them up, a few at once, until the ledger falls silent. */
async function lookUp(ledger: Ledger, texts: readonly string[], limitMs: number) {
  const answers = new Map<string, Found | Unmanaged | undefined>();
  // Names first: an id needs no answer.
  const queue = texts.toSorted((a, b) => Number(looksLikeId(a)) - Number(looksLikeId(b)));
  const started = performance.now();
  let silence: NodeJS.Timeout | undefined;
  let giveUp = (): void => undefined;
  let over = false;
  const silent = new Promise<void>((resolve) => {
    giveUp = () => {
      over = true;
      resolve();
    };
  });
  const answered = (): void => {
    clearTimeout(silence);
    const left = OVERALL_LIMIT_MS - (performance.now() - started);
    silence = setTimeout(giveUp, Math.min(limitMs, left));
  };
  const worker = async (): Promise<void> => {
    for (let text = queue.shift(); text !== undefined && !over; text = queue.shift()) {
      try {
        const found = await knownAs(ledger, text);
        if (over) return;
        answers.set(text, found);
        answered();
        if (found?.type !== undefined) continue;
        const id = found?.credentialId ?? text;
        const credential = found === undefined ? undefined : await ledger.credential(id);
        if (over) return;
        if (credential !== undefined) {
          answers.set(text, typed(credential));
          answered();
          continue;
        }
        // A name that is still reserved may be let go of already. Where nobody can tell, its emergency does.
        const gone = await findUnmanaged({ ledger, revocationsByHand }, id);
        if (over) return;
        if (gone !== undefined) answers.set(text, gone);
        answered();
      } catch {
        // Not looked up: it counts as unanswered.
      }
    }
  };
  answered();
  await Promise.race([Promise.all(Array.from({ length: LOOKUPS_AT_ONCE }, worker)), silent]);
  clearTimeout(silence);
  over = true;
  return texts.map((text) => ({
    text,
    answer: answers.has(text) ? answers.get(text) : NOBODY_ANSWERED,
  }));
}

type Found = EmergencyInput['credentials'][number];

/** One read for a name or an id that is known; by its id its type is known as well. */
async function knownAs(ledger: Ledger, text: string): Promise<Found | undefined> {
  const byId = async (): Promise<Found | undefined> => {
    const credential = await ledger.credential(text);
    return credential === undefined ? undefined : typed(credential);
  };
  const byName = async (): Promise<Found | undefined> => {
    const credentialId = await ledger.idByName(text);
    return credentialId === undefined ? undefined : { credentialId };
  };
  return looksLikeId(text) ? ((await byId()) ?? byName()) : ((await byName()) ?? byId());
}

function typed({ id, type }: Credential): Found {
  return { credentialId: id, type };
}
