import { canSuspend } from '../capabilities.ts';
import { plusSeconds, toInstant, type Instant } from '../clock.ts';
import type { CredentialHandle } from '../credential.ts';
import { RekeyError } from '../errors.ts';
import { isSamePerson } from '../person.ts';
import { credentialsIn, familiesIn, type Decision, type SignalPolicy } from './decide.ts';
import { REMEMBERED_SECONDS, tokenOf, type Signal } from './signal.ts';

/** What somebody has said of a signal that is held. */
export interface Vote {
  readonly actor: string;
  readonly at: Instant;
  readonly reason: string;
  /** Alone, after the time that is left for two. */
  readonly glass?: boolean;
}

/** A signal that waits for two people. */
export interface HeldSignal {
  /** Also the id of the emergency that an approval starts. */
  readonly id: string;
  readonly source: string;
  /** Who has sent it: a source, or the ARN of a person. Who reports doesn't approve. */
  readonly reporter: string;
  readonly why: string;
  readonly url?: string;
  readonly heldAt: Instant;
  /** From then on one Responder may decide alone. */
  readonly glassAt: Instant;
  readonly credentials: readonly {
    readonly credentialId: string;
    readonly name: string;
    readonly type: string;
    /** Absent in what older versions wrote. */
    readonly provider?: string;
    readonly fingerprint?: string;
    /** The value that was found. Absent in what older versions wrote. */
    readonly handle?: Pick<CredentialHandle, 'id' | 'generation'>;
  }[];
  /** Token families that an approval ends as well. */
  readonly families?: readonly {
    readonly familyId: string;
    readonly name: string;
    readonly fingerprint: string;
  }[];
  /** These values are suspended until it is decided, where their providers can. */
  readonly suspends?: true;
  readonly status: 'held' | 'approved' | 'denied';
  readonly approvals: readonly Vote[];
  readonly denial?: Vote;
  /** How often people were told of it again, and when last. */
  readonly reminded?: { readonly times: number; readonly at: Instant };
  /** Raised by every commit. */
  readonly version: number;
}

/** A signal as it is held. */
export function heldOf(
  signal: Signal,
  { of, why }: Extract<Decision, { act: 'hold' }>,
  reporter: string,
  { breakGlassSeconds }: Pick<SignalPolicy, 'breakGlassSeconds'>,
  now: number,
  suspends = false,
): HeldSignal {
  const heldAt = toInstant(now);
  const families = familiesIn(of);
  return {
    id: tokenOf(signal),
    source: signal.source,
    reporter,
    why,
    ...(signal.url === undefined ? {} : { url: signal.url }),
    heldAt,
    glassAt: plusSeconds(heldAt, breakGlassSeconds),
    credentials: credentialsIn(of).map(({ credential, key }) => ({
      credentialId: credential.id,
      name: credential.name,
      type: credential.type,
      provider: credential.provider,
      ...(key === undefined
        ? {}
        : {
            fingerprint: key.fingerprint,
            handle: { id: key.handle.id, generation: key.handle.generation },
          }),
    })),
    ...(families.length === 0
      ? {}
      : {
          families: families.map(({ family: { id, name }, token: { fingerprint } }) => ({
            familyId: id,
            name,
            fingerprint,
          })),
        }),
    ...(suspends ? { suspends } : {}),
    status: 'held',
    approvals: [],
    version: 1,
  };
}

/** Why a value works until somebody decides; undefined where it is suspended meanwhile. */
export function whyItWorks(
  { suspends }: Pick<HeldSignal, 'suspends'>,
  { type, provider, handle }: HeldSignal['credentials'][number],
): string | undefined {
  if (provider !== undefined && !canSuspend({ type, provider })) return `${provider} can't suspend one`;
  if (suspends !== true)
    return 'its source has not shown it to be live, or has no room in its cap of suspensions (suspendHeld)';
  return handle === undefined ? 'only its name is known' : undefined;
}

/** So many names are read at a glance; `rekey incident held` has them all. */
const MOST_NAMED = 10;

/** What works until somebody decides, and what doesn't, in the sentences of a page. */
export function meanwhile(signal: Pick<HeldSignal, 'suspends' | 'credentials' | 'families'>): string {
  const { credentials, families = [] } = signal;
  const works = credentials.filter((each) => whyItWorks(signal, each) !== undefined);
  const suspended = credentials.filter((each) => !works.includes(each));
  return [
    { text: 'NOT suspended, works until somebody decides', which: [...works, ...families] },
    { text: 'Suspended until somebody decides', which: suspended },
  ]
    .flatMap(({ text, which }) => (which.length === 0 ? [] : [`${text}: ${someOf(which)}.`]))
    .join(' ');
}

function someOf(which: readonly { readonly name: string }[]): string {
  const names = which.slice(0, MOST_NAMED).map(({ name }) => name);
  const more = which.length - names.length;
  return names.join(', ') + (more === 0 ? '' : ` and ${more} more`);
}

/** What a vote has changed; `changed` is false where it had been given before. */
export interface Voted {
  readonly held: HeldSignal;
  readonly changed: boolean;
}

/**
 * An approval. The second one, of somebody else, approves; so does one alone that breaks the glass once it is time for that.
 * The same again changes nothing.
 * @throws RekeyError ERR_FORBIDDEN for whoever has reported it or is too early, ERR_CONFLICT where it was denied, or approved so long
 * ago that nobody knows its emergency any more: it would begin anew, and revoke what works by now
 */
export function approve(signal: HeldSignal, vote: Omit<Vote, 'at'>, now: number): Voted {
  const { status, approvals, reporter, glassAt } = signal;
  if (status === 'denied') throw decided(signal);
  if (isSamePerson(vote.actor, reporter)) {
    throw new RekeyError('ERR_FORBIDDEN', 'who has reported it does not approve it', {
      remedy: 'two other responders approve it; alone, you revoke in your own name: rekey revoke',
    });
  }
  if (status === 'approved') {
    const began = approvals.at(-1)?.at;
    if (began !== undefined && now - Date.parse(began) >= REMEMBERED_SECONDS * 1000)
      throw forgotten(signal, began);
    return { held: signal, changed: false };
  }
  const given = approvals.some(({ actor }) => isSamePerson(actor, vote.actor));
  const at = toInstant(now);
  if (vote.glass === true) {
    if (at < glassAt) {
      throw new RekeyError(
        'ERR_FORBIDDEN',
        `two responders decide until ${glassAt}; alone you may from then on`,
        {
          field: 'breakGlass',
          remedy:
            'ask a second responder to approve it; what you know to be leaked you may revoke: rekey revoke',
        },
      );
    }
    return {
      held: next(signal, { approvals: [...approvals, { ...vote, at }], status: 'approved' }),
      changed: true,
    };
  }
  if (given) return { held: signal, changed: false };
  const { glass: _glass, ...plain } = vote;
  const all = [...approvals, { ...plain, at }];
  return {
    held: next(signal, { approvals: all, status: all.length >= 2 ? 'approved' : 'held' }),
    changed: true,
  };
}

/** A denial: one is enough, and nothing is revoked. @throws RekeyError ERR_CONFLICT where it was approved */
export function deny(signal: HeldSignal, vote: Omit<Vote, 'at' | 'glass'>, now: number): Voted {
  if (signal.status === 'approved') throw decided(signal);
  if (signal.status === 'denied') return { held: signal, changed: false };
  const denial = { ...vote, at: toInstant(now) };
  return { held: next(signal, { status: 'denied', denial }), changed: true };
}

/** People are told again of what waits for them after so long, and so often: for a day. */
const REMINDED_EVERY_MS = 3600_000;
const MOST_REMINDERS = 24;

/** Whether people were told again of it of late. */
export function isJustReminded({ reminded }: HeldSignal, now: number): boolean {
  return reminded !== undefined && now - Date.parse(reminded.at) < REMINDED_EVERY_MS;
}

/** When people were told of it last. */
export function lastTold({ heldAt, reminded }: HeldSignal): Instant {
  return reminded?.at ?? heldAt;
}

/** The signal once people are told of it again; undefined where that is not due, or they were often enough. */
export function remind(signal: HeldSignal, now: number): HeldSignal | undefined {
  const times = signal.reminded?.times ?? 0;
  const isDue = now - Date.parse(lastTold(signal)) >= REMINDED_EVERY_MS && times < MOST_REMINDERS;
  if (signal.status !== 'held' || !isDue) return undefined;
  return next(signal, { reminded: { times: times + 1, at: toInstant(now) } });
}

function next(signal: HeldSignal, changes: Partial<HeldSignal>): HeldSignal {
  return { ...signal, ...changes, version: signal.version + 1 };
}

function forgotten({ id }: HeldSignal, approvedAt: Instant): RekeyError {
  return new RekeyError(
    'ERR_CONFLICT',
    `signal ${id} was approved on ${approvedAt.slice(0, 10)}, and its emergency is kept for 90 days`,
    {
      field: 'id',
      remedy:
        '`rekey audit` has what became of it; what works by now you revoke in your own name: rekey revoke',
    },
  );
}

function decided({ id, status, denial }: HeldSignal): RekeyError {
  return new RekeyError(
    'ERR_CONFLICT',
    `signal ${id} is ${status}${denial === undefined ? '' : ` by ${denial.actor}`}`,
    {
      remedy: 'what has changed since is a new report, or `rekey revoke` in your own name',
    },
  );
}
