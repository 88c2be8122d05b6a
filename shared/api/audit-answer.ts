import * as z from 'zod';
import { checkStretch, GENESIS, isIntact, type AuditAction, type AuditRecord } from '../domain/audit.ts';
import { joinRuns, runsOf } from '../domain/chain-runs.ts';
import { fromInstant } from '../domain/clock.ts';
import { besideRotations, eventsOf } from './audit-events.ts';
import { spanOf, type ChainEnd, type Span } from './audit-span.ts';
import type { AuditAnswer, AuditedRotation, AuditRest } from './messages.ts';

/**
 * The auditor's answer (A2): every rotation of a span with its actor, its dates and whether the old credential was
 * deactivated, and whether the chain of records is whole. All of it comes from the records; nothing is inferred.
 * A long span is read in pages: `auditPage` on each, `joinAudit` over all.
 */

type Run = AuditRest['runs'][number];
type Ending = AuditRest['endings'][number];
/** The end of a chain: held against the head, after the span, known to nobody, or of no interest to the span. */
type End = 'checked' | 'later' | 'unknown' | 'no records';
type Fault = AuditAnswer['chain']['faults'][number];

/** Records that say that a new credential became current. */
const ROTATED: ReadonlySet<AuditAction> = new Set(['window-opened', 'replaced']);

/** Records that say how a rotation ended. */
const OUTCOMES: Partial<Record<AuditAction, string>> = {
  retired: 'completed',
  kept: 'kept',
  'rolled-back': 'rolled-back',
};

/** Outcome of a rotation whose old credential only a person can end, and hasn't. */
const AWAITED = 'awaiting-operator';

/** Records about the new credential of a rotation rather than the old one. */
const ABOUT_NEW: ReadonlySet<AuditAction> = new Set(['aborted', 'rolled-back']);

/** What an emergency's records say in their evidence: whom they preempted, and every handle that they killed. */
const emergencyEvidence = z.object({
  preempted: z.string().optional(),
  revocation: z
    .object({
      handles: z.array(z.object({ handle: z.string(), deactivation: z.object({ confirmed: z.boolean() }) })),
    })
    .optional(),
});

/**
 * What the records of one page say. `after` are later records than the span's: they are not part of it, and only tell
 * how its rotations ended. `heads` are read before the records, those of registered
 * credentials on the last page only.
 */
export function auditPage(input: {
  from: string;
  to: string;
  records: readonly AuditRecord[];
  after?: readonly AuditRecord[];
  heads?: readonly ChainEnd[];
  /** Records of token families without those by the clock: each is checked by itself, since no chain is whole without them. */
  ofFamilies?: readonly AuditRecord[];
  next?: string;
}): AuditAnswer {
  const { from, to, records, after = [], heads, ofFamilies = [], next } = input;
  const chains = [...Map.groupBy(records, (record) => record.entity.uid).values()].map((chain) =>
    [...chain].sort((a, b) => a.metadata.sequence - b.metadata.sequence),
  );
  // Whether something is missing between pages or at the ends is for `joinAudit` to say.
  const faults = [
    ...chains.flatMap(checkStretch),
    ...ofFamilies.filter((record) => !isIntact(record)).map(changed),
  ];
  return {
    from,
    to,
    records: records.length,
    rotations: chains.flatMap((chain) => chain.filter(({ message }) => ROTATED.has(message)).map(rotationOf)),
    events: eventsOf([...chains.flat(), ...ofFamilies]),
    ...(ofFamilies.length === 0 ? {} : { families: countsOf(ofFamilies) }),
    chain: { checked: records.length, faults, complete: 0 },
    rest: {
      runs: chains.flatMap((chain) =>
        runsOf(chain).map((run) => ({ credentialId: chain[0]?.entity.uid ?? '', ...run })),
      ),
      endings: [...chains.flat(), ...after].filter(isEnding).map(endingOf),
      ...(heads === undefined ? {} : { heads: [...heads] }),
    },
    ...(next === undefined ? {} : { next }),
  };
}

function changed({ entity, metadata }: AuditRecord): Fault {
  return { credentialId: entity.uid, seq: metadata.sequence, fault: 'hash' };
}

function countsOf(records: readonly AuditRecord[]): NonNullable<AuditAnswer['families']> {
  return [...Map.groupBy(records, ({ entity }) => entity.uid)].map(([familyId, own]) => ({
    family: own[0]?.entity.name ?? familyId,
    familyId,
    records: own.length,
  }));
}

/** The whole answer from all pages of a span, in any order. */
export function joinAudit(pages: readonly AuditAnswer[]): AuditAnswer {
  const [first] = pages;
  if (first === undefined) throw new TypeError('no page to join');
  const span = spanOf(first.from, first.to);
  const endings = pages.flatMap(({ rest }) => rest?.endings ?? []);
  const heads = new Map(
    pages.flatMap(({ rest }) => rest?.heads ?? []).map((head) => [head.credentialId, head]),
  );
  const runs = Map.groupBy(
    pages.flatMap(({ rest }) => rest?.runs ?? []),
    ({ credentialId }) => credentialId,
  );
  const faults = pages.flatMap(({ chain }) => chain.faults);
  const ends: End[] = [];
  for (const credentialId of new Set([...runs.keys(), ...heads.keys()])) {
    const chain = checkRuns(credentialId, runs.get(credentialId) ?? [], heads.get(credentialId), span);
    faults.push(...chain.faults);
    ends.push(chain.end);
  }
  const count = (wanted: End): number => ends.filter((end) => end === wanted).length;
  const byCredential = Map.groupBy(endings, ({ credentialId }) => credentialId);
  const rotations = pages
    .flatMap((page) => page.rotations)
    .map((rotation) => withEnding(rotation, byCredential.get(rotation.credentialId) ?? []));
  return {
    from: first.from,
    to: first.to,
    records: sum(pages.map(({ records }) => records)),
    rotations: rotations.sort((a, b) => (a.rotatedAt < b.rotatedAt ? -1 : 1)),
    ...eventsIn(pages, rotations),
    ...familiesIn(pages),
    chain: {
      checked: sum(pages.map(({ chain }) => chain.checked)),
      faults: faults.sort(byPlace),
      complete: count('checked'),
      chains: ends.length - count('no records'),
      later: count('later'),
      ends: [...runs].flatMap(([credentialId, own]) => endOf(credentialId, own, heads.get(credentialId))),
    },
  };
}

/** The end as the ledger has it, else that of the records. */
function endOf(
  credentialId: string,
  runs: readonly Run[],
  head: ChainEnd | undefined,
): NonNullable<AuditAnswer['chain']['ends']> {
  if (head !== undefined) return [{ credentialId, seq: head.seq, hash: head.chain }];
  return [...runs]
    .sort((a, b) => a.last - b.last)
    .slice(-1)
    .map(({ last, hash }) => ({ credentialId, seq: last, hash }));
}

function eventsIn(
  pages: readonly AuditAnswer[],
  rotations: readonly AuditedRotation[],
): Pick<AuditAnswer, 'events'> {
  if (pages.some(({ events }) => events === undefined)) return {};
  return {
    events: besideRotations(
      pages.flatMap((page) => page.events ?? []),
      rotations,
    ),
  };
}

function familiesIn(pages: readonly AuditAnswer[]): Pick<AuditAnswer, 'families'> {
  const counts = Map.groupBy(
    pages.flatMap(({ families = [] }) => families),
    ({ familyId }) => familyId,
  );
  const families = [...counts.values()].flatMap(([first, ...more]) =>
    first === undefined ? [] : [{ ...first, records: sum([first, ...more].map(({ records }) => records)) }],
  );
  return families.length === 0 ? {} : { families };
}

function rotationOf(record: AuditRecord): AuditedRotation {
  const { data } = record.entity;
  return {
    credential: record.entity.name,
    credentialId: record.entity.uid,
    rotation: record.metadata.correlation_uid,
    trigger: data.trigger,
    reason: data.reason,
    actor: record.actor.user.uid,
    rotatedAt: record.time_dt,
    oldFingerprint: data.old_fingerprint,
    newFingerprint: data.new_fingerprint,
    oldHandle: data.old_handle,
    ...(record.message === 'replaced'
      ? { outcome: 'completed', endedAt: record.time_dt }
      : { outcome: 'open' }),
    deactivation: 'NOT CONFIRMED',
  };
}

function isEnding({ message, entity }: AuditRecord): boolean {
  return (
    OUTCOMES[message] !== undefined || message === 'emergency-intended' || entity.data.deactivation !== ''
  );
}

function endingOf(record: AuditRecord): Ending {
  const { data } = record.entity;
  const { preempted, revocation } = record.message.startsWith('emergency-') ? evidenceOf(data.evidence) : {};
  const killed = revocation?.handles.filter(({ deactivation }) => deactivation.confirmed) ?? [];
  return {
    credentialId: record.entity.uid,
    rotation: preempted ?? record.metadata.correlation_uid,
    fingerprint: ABOUT_NEW.has(record.message) ? data.new_fingerprint : data.old_fingerprint,
    handles: killed.map(({ handle }) => handle),
    seq: record.metadata.sequence,
    at: record.time_dt,
    outcome: preempted === undefined ? outcomeOf(record) : 'preempted',
    deactivation: data.deactivation,
  };
}

function outcomeOf({ message, entity }: AuditRecord): string {
  // In an emergency it is about what came before the replacement, whose rotation this is.
  if (message === 'operator-awaited') return entity.data.trigger === 'emergency' ? '' : AWAITED;
  return OUTCOMES[message] ?? '';
}

function evidenceOf(text: string): z.infer<typeof emergencyEvidence> {
  try {
    return emergencyEvidence.parse(JSON.parse(text));
  } catch {
    return {};
  }
}

/** Confirmed only where the newest record about this very credential says so. */
function withEnding(rotation: AuditedRotation, endings: readonly Ending[]): AuditedRotation {
  const own = endings.filter((ending) => ending.rotation !== '' && ending.rotation === rotation.rotation);
  const end = newest(own.filter(({ outcome }) => outcome !== '' && outcome !== AWAITED));
  const isAwaited = own.some(({ outcome }) => outcome === AWAITED);
  const outcome = end?.outcome ?? (isAwaited ? AWAITED : rotation.outcome);
  const ended = { ...rotation, outcome, ...(end === undefined ? {} : { endedAt: end.at }) };
  // After a rollback the old one lives on: another rotation's record about it says nothing about this one.
  const rolledBack = outcome === 'rolled-back';
  const relevant = endings.filter(
    (ending) => own.includes(ending) || (!rolledBack && isAbout(ending, rotation)),
  );
  const said = newest(relevant.filter((ending) => ending.deactivation !== ''));
  if (said?.deactivation !== 'CONFIRMED') return ended;
  return { ...ended, deactivatedAt: said.at, deactivation: 'CONFIRMED' };
}

function isAbout(ending: Ending, { oldFingerprint, oldHandle }: AuditedRotation): boolean {
  return (
    (oldFingerprint !== '' && ending.fingerprint === oldFingerprint) ||
    (oldHandle !== '' && ending.handles.includes(oldHandle))
  );
}

function newest(endings: readonly Ending[]): Ending | undefined {
  return [...endings].sort((a, b) => a.seq - b.seq).at(-1);
}

/** Joins the runs of one credential and holds both ends against the ledger, where the span covers them. */
function checkRuns(
  credentialId: string,
  runs: readonly Run[],
  head: ChainEnd | undefined,
  { start, end }: Span,
): { faults: Fault[]; end: End } {
  const faults: Fault[] = [];
  const fault = (seq: number, kind: string): unknown => faults.push({ credentialId, seq, fault: kind });
  // The first record has the time of the registration, exactly.
  const born = head === undefined ? Number.NEGATIVE_INFINITY : fromInstant(head.registeredAt);
  const fromBirth = born >= start;
  const toHead = head !== undefined && fromInstant(head.updatedAt) < end;
  if (runs.length === 0 && (born < start || born >= end)) {
    // Nothing was recorded in the span, and nothing says that something should have been.
    return { faults, end: 'no records' };
  }
  if (runs.length === 0 && !toHead) fault(1, 'gap');

  const from = fromBirth ? 1 : Math.min(...runs.map(({ first }) => first));
  const joined = joinRuns(runs, { seq: from, hash: from === 1 ? GENESIS : undefined });
  for (const { seq, to = seq, fault: kind } of joined.faults)
    for (let each = seq; each <= to; each++) fault(each, kind);
  const { hash } = joined;
  let expected = joined.next;
  if (!toHead) return { faults, end: head === undefined ? 'unknown' : 'later' };
  for (; expected <= head.seq; expected++) fault(expected, 'gap');
  if (expected - 1 === head.seq && hash !== undefined && hash !== head.chain && !hasGap(faults, head.seq)) {
    fault(head.seq, 'link');
  }
  return { faults, end: 'checked' };
}

function hasGap(faults: readonly Fault[], seq: number): boolean {
  return faults.some((fault) => fault.fault === 'gap' && fault.seq === seq);
}

function byPlace(a: Fault, b: Fault): number {
  return a.credentialId === b.credentialId ? a.seq - b.seq : a.credentialId < b.credentialId ? -1 : 1;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
