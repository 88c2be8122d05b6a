// Incidents that never were, made from a seed, with what a report of them has to say: known by construction, not worked out.
import { chained, GENESIS, type AuditDraft, type AuditRecord } from '../../shared/domain/audit.ts';
import { toInstant, type Instant } from '../../shared/domain/clock.ts';
import type { UseClass } from '../../shared/domain/forensics/classify.ts';
import type { Interval, Ordinary, Source, TracedUse } from '../../shared/domain/forensics/facts.ts';

const INCIDENT = 'INC-1';
const MINUTE = 60_000;
const DAY = 86_400_000;
const BEGAN = Date.parse('2026-01-01T00:00:00.000Z');

/** What has to come out of an incident. */
interface Expected {
  readonly exposures: readonly { fingerprint: string; from: Instant; to: Instant | undefined }[];
  /** By `session`, which names each use. */
  readonly uses: readonly { session: string; class: UseClass }[];
  readonly gaps: readonly { source: string; from: Instant; to: Instant }[];
  readonly hole: Interval | undefined;
}

/** An incident as Rekey would find it. */
export interface SyntheticIncident {
  readonly incident: string;
  readonly records: readonly AuditRecord[];
  readonly head: { readonly seq: number; readonly chain: string };
  readonly uses: readonly TracedUse[];
  readonly sources: readonly Source[];
  readonly ordinary: Ordinary;
  readonly knownGood: Instant | undefined;
  readonly now: Instant;
  readonly expected: Expected;
}

interface MadeKey {
  readonly fingerprint: string;
  readonly handle: string;
  readonly version: string;
  readonly made: number;
  end: number | undefined;
}

/** The incident of a seed; the same seed is the same incident. */
export function syntheticIncident(seed: number): SyntheticIncident {
  const random = generator(seed);
  const within = (from: number, to: number): number => from + Math.floor(random() * Math.max(1, to - from));
  const chance = (part: number): boolean => random() < part;
  const drafts: AuditDraft[] = [];
  let clock = BEGAN + within(0, DAY);
  const say = (action: AuditDraft['action'], draft: Partial<AuditDraft> = {}): number => {
    drafts.push({ action, time: toInstant(clock), trigger: { kind: 'planner', actor: 'rekey' }, ...draft });
    return clock;
  };
  const pass = (longest = DAY): number => (clock += 1 + within(0, longest));

  const keys: MadeKey[] = [];
  const hasOwnIds = seed % 2 === 0;
  const newKey = (made: number): MadeKey => {
    const slot = keys.length % 2 === 0 ? 'a' : 'b';
    const key = {
      fingerprint: `sha256:${seed}-${keys.length}`,
      // Logins of databases come back with another value; keys have an id of their own.
      handle: hasOwnIds ? `AKIA${keys.length}#1` : `login_${slot}#${keys.length + 1}`,
      version: `version-${keys.length}`,
      made,
      end: undefined,
    };
    keys.push(key);
    return key;
  };
  const oldAndNew = (old: MadeKey, next: MadeKey): Partial<AuditDraft> => ({
    correlationId: next.version,
    oldFingerprint: old.fingerprint,
    oldHandle: old.handle,
    newFingerprint: next.fingerprint,
    newHandle: next.handle,
  });
  const confirmedAt = (at: number) => ({ confirmed: true, observedAt: toInstant(at), detail: 'refused' });

  let current = newKey(say('registration-intended'));
  pass(MINUTE);
  say('registered', { newFingerprint: current.fingerprint, newHandle: current.handle });
  let filler: number | undefined;
  for (let left = within(0, 5); left > 0; left--) {
    pass();
    const old = current;
    const next = newKey(clock);
    say('issue-intended', {
      correlationId: next.version,
      oldFingerprint: old.fingerprint,
      oldHandle: old.handle,
    });
    pass(MINUTE);
    say('activation-intended', oldAndNew(old, next));
    pass(MINUTE);
    say('window-opened', oldAndNew(old, next));
    current = next;
    pass();
    if (filler === undefined && chance(0.5)) {
      filler = drafts.length;
      say('policy-findings');
      pass();
    }
    // The window of the last one may be open still when the emergency comes.
    if (left === 1 && chance(0.4)) break;
    if (chance(0.15)) {
      say('kept', { ...oldAndNew(old, next), deactivation: 'NOT CONFIRMED' });
      continue;
    }
    old.end = clock - within(0, 1000);
    say('retired', {
      ...oldAndNew(old, next),
      deactivation: 'CONFIRMED',
      evidence: { deactivation: confirmedAt(old.end) },
    });
  }

  const exposed = keys.filter(({ end }) => end === undefined);
  pass();
  const dead = keys.filter(({ end }) => end !== undefined);
  const leaked = dead[within(0, dead.length)];
  if (leaked !== undefined && chance(0.5)) {
    exposed.push(leaked);
    say('leak-reported', {
      incidentId: INCIDENT,
      oldFingerprint: leaked.fingerprint,
      oldHandle: leaked.handle,
    });
    pass(MINUTE);
  }
  const about = {
    incidentId: INCIDENT,
    correlationId: 'replacement',
    oldFingerprint: current.fingerprint,
    oldHandle: current.handle,
  };
  say('emergency-intended', about);
  const alive = keys.filter(({ end }) => end === undefined);
  pass(MINUTE);
  const isOpen = chance(0.1);
  if (isOpen) say('emergency-revocation-failed', { ...about, evidence: { cause: 'nobody answers' } });
  else {
    for (const key of alive) key.end = clock - within(0, 1000);
    say('emergency-revoked', {
      ...about,
      deactivation: 'CONFIRMED',
      evidence: {
        revocation: {
          revokedAt: toInstant(clock),
          generation: keys.length + 1,
          handles: alive.map(({ handle, end = 0 }) => ({ handle, deactivation: confirmedAt(end) })),
        },
      },
    });
  }
  pass(MINUTE);
  const haltedAt = say('agents-halted', about);
  pass(MINUTE);
  const replacement = {
    ...about,
    newFingerprint: `sha256:${seed}-new`,
    newHandle: `login_a#${keys.length + 2}`,
  };
  if (!isOpen) say('replacement-generated', replacement);
  const now = clock + within(DAY, 3 * DAY);

  const all = chained(
    { id: 'c', name: 'c', tenant: 't', account: '1', region: 'r', holders: [], seq: 0, chain: GENESIS },
    drafts,
  );
  const isCut = filler !== undefined && chance(0.5);
  const records = isCut ? all.records.filter((_record, index) => index !== filler) : all.records;
  const timeAt = (index: number): Instant => drafts[index]?.time ?? '';

  const knownGood = chance(0.3) ? within(BEGAN, haltedAt) : undefined;
  const exposures = exposed.map((key) => {
    const end = key.end ?? Number.POSITIVE_INFINITY;
    return { key, from: Math.min(end, Math.max(key.made, knownGood ?? 0)), to: key.end };
  });

  const uses: TracedUse[] = [];
  const expectedUses: Expected['uses'][number][] = [];
  const use = (
    version: string,
    [from, to]: readonly [number, number],
    how: Partial<TracedUse>,
    as: UseClass | undefined,
  ): void => {
    const session = `use-${uses.length}`;
    if (as !== undefined) expectedUses.push({ session, class: as });
    uses.push({
      source: 'reports',
      who: 'shop',
      declaredAs: 'shop',
      of: { kind: 'version', versionId: version },
      from: toInstant(from),
      to: toInstant(to),
      succeeded: 1,
      refused: 0,
      ...how,
      session,
    });
  };
  /** What an upstream tells of a key counts nothing, and says whether it was let in. */
  const told = (
    { handle }: MadeKey,
    outcome: 'worked' | 'refused',
    how: Partial<TracedUse> = {},
  ): Partial<TracedUse> => ({
    source: 'CloudTrail',
    of: { kind: 'key', id: handle.slice(0, handle.lastIndexOf('#')) },
    succeeded: undefined,
    refused: undefined,
    outcome,
    ...how,
  });
  // Takes the declaration away when it is spread over a use, which no optional field of the type may say.
  const stranger = { who: 'arn:stranger', declaredAs: undefined } as unknown as Partial<TracedUse>;
  for (const { key, from, to } of exposures) {
    const end = to ?? now;
    const lastCalm = Math.min(end, haltedAt);
    if (from < lastCalm) {
      const inside = (): [number, number] => {
        const at = within(from, lastCalm);
        return [at, within(at, lastCalm)];
      };
      use(key.version, [from, from], {}, 'expected');
      use(key.version, [lastCalm - 1, lastCalm - 1], {}, 'expected');
      for (let left = within(0, 6); left > 0; left--) use(key.version, inside(), {}, 'expected');
      if (chance(0.5)) use(key.version, inside(), stranger, 'unexplained');
      if (chance(0.3)) use(key.version, inside(), { ...stranger, isForeign: true }, 'suspect');
      if (chance(0.3)) use(key.version, inside(), { address: '198.51.100.7' }, 'suspect');
      if (chance(0.3)) use(key.version, inside(), { address: '10.0.0.1', scope: 'orders' }, 'expected');
      if (chance(0.3)) use(key.version, inside(), { scope: 'payroll' }, 'suspect');
      if (hasOwnIds) {
        use('', [from, from], told(key, 'worked', { address: '10.0.0.1', scope: 'orders' }), 'expected');
        use('', inside(), told(key, 'refused', stranger), 'unexplained');
        use('', inside(), told(key, 'worked', { address: '198.51.100.7' }), 'suspect');
      }
    }
    if (to === undefined) use(key.version, [haltedAt, haltedAt + 1], {}, 'suspect');
    else {
      use(key.version, [to, to], {}, 'suspect');
      use(key.version, [to, to + MINUTE], { succeeded: 0, refused: 3 }, 'expected');
      if (hasOwnIds) {
        use('', [to, to], told(key, 'worked', stranger), 'suspect');
        use('', [to, to], told(key, 'refused'), 'expected');
      }
    }
    if (hasOwnIds) use('', [from - MINUTE, from - 1], told(key, 'worked'), undefined);
    // Before the exposure: none of its uses.
    use(key.version, [from - MINUTE, from - 1], {}, undefined);
  }
  use('another-version', [BEGAN, now], {}, undefined);
  for (const key of dead.filter((each) => !exposed.includes(each)))
    use(key.version, [key.made, key.made + 1], {}, undefined);

  const spans = union(exposures.map(({ from, to }) => [from, to ?? now]));
  const gaps: Expected['gaps'][number][] = [];
  const sources = ['reports', 'reads'].map((name): Source => {
    const covers: [number, number][] = [[BEGAN - DAY, BEGAN - 1]];
    for (const [start, stop] of spans) {
      let at = start;
      while (at < stop) {
        const next = Math.min(stop, at + within(1, Math.ceil((stop - start) / 3) + 1));
        if (chance(0.6)) covers.push([at - within(0, 2) * MINUTE * Number(at === start), next]);
        else gaps.push({ source: name, from: toInstant(at), to: toInstant(next) });
        at = next;
      }
    }
    return { name, covers: shuffled(covers, random).map(interval), why: 'it was off' };
  });
  return {
    incident: INCIDENT,
    records: shuffled(records, random),
    head: { seq: all.seq, chain: all.chain },
    uses: shuffled(uses, random),
    sources,
    ordinary: {
      addresses: new Map([['shop', ['10.0.0.1']]]),
      scopes: ['orders'],
      haltedAt: toInstant(haltedAt),
    },
    knownGood: knownGood === undefined ? undefined : toInstant(knownGood),
    now: toInstant(now),
    expected: {
      exposures: exposures.map(({ key, from, to }) => ({
        fingerprint: key.fingerprint,
        from: toInstant(from),
        to: to === undefined ? undefined : toInstant(to),
      })),
      uses: expectedUses,
      gaps: touching(gaps),
      hole: isCut ? { from: timeAt((filler ?? 0) - 1), to: timeAt((filler ?? 0) + 1) } : undefined,
    },
  };
}

/** Holes that touch are one. */
function touching(gaps: readonly Expected['gaps'][number][]): Expected['gaps'] {
  return gaps.reduce<Expected['gaps'][number][]>((all, gap) => {
    const last = all.at(-1);
    if (last === undefined || last.source !== gap.source || last.to !== gap.from) return [...all, gap];
    return [...all.slice(0, -1), { ...last, to: gap.to }];
  }, []);
}

function union(spans: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const all: [number, number][] = [];
  for (const [from, to] of spans.filter((span) => span[0] < span[1]).toSorted((a, b) => a[0] - b[0])) {
    const last = all.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else all.push([from, to]);
  }
  return all;
}

function interval([from, to]: readonly [number, number]): Interval {
  return { from: toInstant(from), to: toInstant(to) };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
