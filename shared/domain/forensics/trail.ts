import * as z from 'zod';
import { checkChain, type AuditAction, type AuditRecord } from '../audit.ts';
import type { Instant } from '../clock.ts';
import { harmless } from '../readers.ts';
import type { Interval, TracedKey } from './facts.ts';

/** What the records of one credential tell of one incident. */
export interface Trail {
  /** The values that the incident has ended or is to end, and those that were reported as leaked. */
  readonly keys: readonly TracedKey[];
  /** What happened in it, in order. */
  readonly moments: readonly Moment[];
  /** When agents were first told to halt. */
  readonly haltedAt?: Instant;
  /** The first record that there is: nothing is known of the time before. */
  readonly since: Instant;
  /** Times of which records are missing, or not as they were written. */
  readonly holes: readonly Interval[];
}

/** One record of an incident, in words. */
export interface Moment {
  readonly at: Instant;
  readonly action: string;
  readonly actor: string;
  readonly reason: string;
}

/** What is known of the credential beside its records. */
export interface Known {
  /** Whether Rekey itself makes its values: what a person makes was out of Rekey's sight before. */
  readonly isMadeHere: boolean;
  /** Where the chain of records ended when they began to be read; what has come since is not held against it. */
  readonly head?: { readonly seq: number; readonly chain: string };
  readonly now: Instant;
}

interface Life {
  readonly fingerprint: string;
  readonly handle: string;
  readonly firstSeq: number;
  readonly versionIds: Set<string>;
  readonly madeAt: Instant | undefined;
  end?: { readonly at: Instant; readonly by: string; readonly seq: number };
}

/** Records about values that were there before Rekey. */
const FOUND: ReadonlySet<AuditAction> = new Set(['observed', 'adopt-intended', 'adopted', 'task-confirmed']);
/** Intents before which what they make doesn't exist. */
const MAKING: ReadonlySet<AuditAction> = new Set([
  'registration-intended',
  'issue-intended',
  'replacement-intended',
]);
/** Records that a value was found somewhere, whatever was done about it. */
const REPORTING: ReadonlySet<AuditAction> = new Set(['leak-reported', 'signal-by-hand', 'signal-held']);
/** Records about the new value of a rotation rather than the old one. */
const ABOUT_NEW: ReadonlySet<AuditAction> = new Set(['aborted', 'rolled-back']);

const seen = z.object({
  confirmed: z.boolean(),
  observedAt: z.string().optional(),
  detail: z.string().optional(),
});
const evidence = z.object({
  deactivation: seen.optional().catch(undefined),
  revocation: z
    .object({
      revokedAt: z.string(),
      generation: z.number().catch(0),
      handles: z.array(z.object({ handle: z.string(), deactivation: seen })),
    })
    .optional()
    .catch(undefined),
});

/** Reads one incident out of a credential's records, in any order. */
export function trailOf(records: readonly AuditRecord[], incident: string, known: Known): Trail {
  const sorted = records.toSorted((a, b) => seqOf(a) - seqOf(b));
  const lives = livesOf(sorted, known);
  const own = sorted.filter(({ entity }) => entity.data.incident === incident);
  const haltedAt = own.find(({ message }) => message === 'agents-halted')?.time_dt;
  return {
    keys: lives.filter((life) => concerns(life, own)).map(keyOf),
    moments: momentsOf(own),
    ...(haltedAt === undefined ? {} : { haltedAt }),
    since: sorted[0]?.time_dt ?? known.now,
    holes: holesOf(sorted, known),
  };
}

/** Records of an incident in words. */
export function momentsOf(own: readonly AuditRecord[]): Moment[] {
  return own.map(({ time_dt: at, message: action, actor, entity }) => ({
    at,
    action,
    actor: actor.user.uid,
    reason: entity.data.reason,
  }));
}

/** Every value that the records name, with its beginning and its confirmed end. */
function livesOf(sorted: readonly AuditRecord[], { isMadeHere }: Known): Life[] {
  const lives = new Map<string, Life>();
  const meet = (fingerprint: string, handle: string, record: AuditRecord, madeAt?: Instant): Life => {
    const known = lives.get(fingerprint);
    if (known !== undefined) return known;
    const life = { fingerprint, handle, firstSeq: seqOf(record), versionIds: new Set<string>(), madeAt };
    lives.set(fingerprint, life);
    return life;
  };
  for (const record of sorted) {
    const { data } = record.entity;
    if (data.old_fingerprint !== '') meet(data.old_fingerprint, data.old_handle, record);
    if (data.new_fingerprint !== '') {
      const isMade = isMadeHere && !FOUND.has(record.message);
      const madeAt = isMade ? madeBy(record, sorted) : undefined;
      const life = meet(data.new_fingerprint, data.new_handle, record, madeAt);
      const version = FOUND.has(record.message) ? '' : record.metadata.correlation_uid;
      if (version !== '') life.versionIds.add(version);
    }
    end([...lives.values()], record);
  }
  return [...lives.values()];
}

/** The intent to make it, which precedes whatever is made; where none is on record, the first record of it. */
function madeBy(record: AuditRecord, sorted: readonly AuditRecord[]): Instant {
  const { correlation_uid: id } = record.metadata;
  const intent = sorted.find(
    (each) =>
      MAKING.has(each.message) &&
      each.metadata.correlation_uid === id &&
      each.metadata.sequence <= record.metadata.sequence,
  );
  return (intent ?? record).time_dt;
}

/** Ends the lives whose end a record confirms. The first confirmation counts. */
function end(lives: readonly Life[], record: AuditRecord): void {
  const { message, entity, time_dt: time } = record;
  const { data } = entity;
  const { deactivation, revocation } = evidenceIn(data.evidence);
  const close = (life: Life, at: Instant, detail = ''): void => {
    life.end ??= { at, by: harmless([message, detail].filter(Boolean).join(': '), 240), seq: seqOf(record) };
  };
  const killed = revocation?.handles.filter((each) => each.deactivation.confirmed) ?? [];
  for (const each of killed.length === 0 ? [] : lives) {
    // Its own handle says it best; else whatever has killed its slot, with every generation so far.
    const own = killed.find(({ handle }) => handle === each.handle);
    const told =
      own ?? killed.find(({ handle }) => isCovered(each.handle, handle, revocation?.generation ?? 0));
    if (told !== undefined)
      close(each, told.deactivation.observedAt ?? revocation?.revokedAt ?? time, told.deactivation.detail);
  }
  const about = ABOUT_NEW.has(message) ? data.new_fingerprint : data.old_fingerprint;
  const life = lives.find(({ fingerprint }) => fingerprint === about);
  if (life === undefined) return;
  if (data.deactivation === 'CONFIRMED')
    close(life, deactivation?.observedAt ?? revocation?.revokedAt ?? time, deactivation?.detail);
  // What was given up before anything of it was made never worked.
  else if (message === 'aborted' && data.deactivation === '') close(life, time, 'nothing of it was alive');
}

/** Ids at the upstream of every value that a record names. */
export function idsIn({ entity }: AuditRecord): string[] {
  const { old_handle: before, new_handle: after, evidence: text } = entity.data;
  const killed = evidenceIn(text).revocation?.handles.map(({ handle }) => handle) ?? [];
  return [before, after, ...killed].filter((handle) => handle !== '').map((handle) => split(handle)[0]);
}

/** Whether a handle that was killed is this one's slot, of this generation or a later one. */
function isCovered(handle: string, killed: string, upTo: number): boolean {
  const [id, generation] = split(handle);
  return split(killed)[0] === id && Number(generation) <= Math.max(upTo, Number(split(killed)[1]));
}

/** Id and generation; an id may hold a `#` itself. */
function split(handle: string): [string, string] {
  const at = handle.lastIndexOf('#');
  return [handle.slice(0, at), handle.slice(at + 1)];
}

/** What worked when the incident began, what it has killed, and what was reported as leaked in it. */
function concerns({ fingerprint, firstSeq, end: ended }: Life, own: readonly AuditRecord[]): boolean {
  return own.some((record) => {
    const { message, entity } = record;
    const seq = seqOf(record);
    if (REPORTING.has(message)) return entity.data.old_fingerprint === fingerprint;
    if (ended?.seq === seq) return true;
    return message === 'emergency-intended' && firstSeq < seq && (ended === undefined || ended.seq > seq);
  });
}

function keyOf({ fingerprint, handle, versionIds, madeAt, end: ended }: Life): TracedKey {
  return {
    fingerprint,
    handle,
    versionIds: [...versionIds].toSorted(),
    ...(madeAt === undefined ? {} : { madeAt }),
    ...(ended === undefined ? {} : { endedAt: ended.at, endedBy: ended.by }),
  };
}

/** Between the records on both sides of what is missing or changed, of those from a number on. */
export function holesOf(
  sorted: readonly AuditRecord[],
  { head, now }: Pick<Known, 'head' | 'now'>,
  from = 1,
): Interval[] {
  const [first] = sorted;
  const known = sorted.filter((record) => head === undefined || seqOf(record) <= head.seq);
  const faults = checkChain(known, head).filter(({ seq }) => seq >= from);
  return faults.map(({ seq }) => {
    const before = sorted.findLast((record) => seqOf(record) < seq) ?? first;
    const after = sorted.find((record) => seqOf(record) > seq);
    return { from: before?.time_dt ?? now, to: after?.time_dt ?? now };
  });
}

function evidenceIn(text: string): z.infer<typeof evidence> {
  try {
    return evidence.parse(JSON.parse(text));
  } catch {
    return {};
  }
}

function seqOf({ metadata }: AuditRecord): number {
  return metadata.sequence;
}
