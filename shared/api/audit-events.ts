import * as z from 'zod';
import { isRoutine, type AuditAction, type AuditRecord } from '../domain/audit.ts';
import type { AuditedRotation, AuditEvent } from './messages.ts';

/** How a rotation ended: its line tells of it, in the answer about the span in which it began. */
const ENDS: ReadonlySet<string> = new Set<AuditAction>(['kept', 'retired', 'rolled-back']);

/** How a rotation or a replacement goes its way, of which nothing is to be told beside it. */
const STEPS: ReadonlySet<AuditAction> = new Set([
  'rotation-announced',
  'window-opened',
  'window-waiting',
  'rollback-window-opened',
  'replacement-generated',
  'replacement-validated',
  'replaced',
]);

/** An intent of which nothing else is recorded: what it intends is done at once, or completed by who asks again. */
const TOLD_INTENT: AuditAction = 'certificate-revocation-intended';

const words = z.string().optional().catch(undefined);

/** What an evidence may say in a few words; a field of another form says nothing here. */
const inWords = z.object({
  outcome: words,
  holder: words,
  step: words,
  phase: words,
  mode: words,
  code: words,
  message: words,
  cause: words,
  why: words,
  serial: z
    .string()
    .transform((serial) => `certificate ${serial}`)
    .optional()
    .catch(undefined),
  id: words,
  byHand: words,
  found: words,
  notPlanned: words,
  unconfirmed: z
    .array(z.string())
    .transform((logins) => `may go on working: ${logins.join(', ')}`)
    .optional()
    .catch(undefined),
  changes: z
    .array(z.object({ field: z.string() }))
    .transform((changes) => `changed: ${changes.map(({ field }) => field).join(', ')}`)
    .optional()
    .catch(undefined),
  findings: z
    .array(z.object({ text: z.string() }))
    .transform((findings) => findings.map(({ text }) => text).join('; '))
    .optional()
    .catch(undefined),
});

/** Bytes of a text of an event: a page of events has to fit into an answer of Lambda (6 MB). */
const MAX_TEXT = 240;

/**
 * What else happened on a page: every fact that a rotation doesn't tell, such as a registration, a pause, an attempt that
 * was given up, a report of a leak, a revocation without a replacement. Intents are left out, save one: their fact
 * follows, or the record of their failure. An action that only a newer version knows is told.
 */
export function eventsOf(records: readonly AuditRecord[]): AuditEvent[] {
  return records.filter(isTold).map(eventOf);
}

function isTold(record: AuditRecord): boolean {
  const { message } = record;
  if (isRoutine(record)) return false;
  return message === TOLD_INTENT || (!message.endsWith('-intended') && !STEPS.has(message));
}

/** The events of an answer by time, without the ends of its own rotations. */
export function besideRotations(
  events: readonly AuditEvent[],
  rotations: readonly Pick<AuditedRotation, 'credentialId' | 'rotation'>[],
): AuditEvent[] {
  const keyOf = ({ credentialId, rotation }: (typeof rotations)[number]): string =>
    `${credentialId} ${rotation}`;
  const told = new Set(rotations.map(keyOf));
  return events
    .filter((event) => !ENDS.has(event.action) || !told.has(keyOf(event)))
    .sort((a, b) => (a.at === b.at ? a.seq - b.seq : a.at < b.at ? -1 : 1));
}

function eventOf({ message, metadata, entity, actor, time_dt: at }: AuditRecord): AuditEvent {
  const { data } = entity;
  const detail = detailOf(data.evidence);
  return {
    credential: entity.name,
    credentialId: entity.uid,
    seq: metadata.sequence,
    at,
    action: message,
    trigger: data.trigger,
    actor: actor.user.uid,
    reason: shortened(data.reason),
    incident: data.incident,
    rotation: metadata.correlation_uid,
    fingerprint: data.old_fingerprint || data.new_fingerprint,
    deactivation: data.deactivation,
    ...(detail === '' ? {} : { detail }),
  };
}

/** A summary for reading; the record has the whole evidence. */
function detailOf(evidence: string): string {
  try {
    const said = Object.values(inWords.parse(JSON.parse(evidence)));
    return shortened(said.filter(Boolean).join('; '));
  } catch {
    return '';
  }
}

function shortened(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_TEXT) return text;
  // A character that the cut went through is left out.
  return `${bytes
    .subarray(0, MAX_TEXT)
    .toString()
    .replace(/\uFFFD+$/, '')}…`;
}
