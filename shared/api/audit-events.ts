import * as z from 'zod';
import type { AuditAction, AuditRecord } from '../domain/audit.ts';
import type { AuditEvent } from './messages.ts';

/** How a rotation or a replacement goes its way: its line in the answer tells of these. */
const TOLD_BY_A_ROTATION: ReadonlySet<AuditAction> = new Set([
  'rotation-announced',
  'window-opened',
  'window-waiting',
  'kept',
  'retired',
  'rollback-window-opened',
  'rolled-back',
  'replacement-generated',
  'replacement-validated',
  'replaced',
]);

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
  found: words,
  notPlanned: words,
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

const MAX_DETAIL = 500;

/**
 * What else happened: every fact that no rotation of the answer tells, such as a registration, a pause, an attempt that
 * was given up, a report of a leak, a revocation without a replacement. Intents are left out: their fact follows, or
 * the record of their failure. An action that only a newer version knows is told.
 */
export function eventsOf(records: readonly AuditRecord[]): AuditEvent[] {
  return records
    .filter(({ message }) => !message.endsWith('-intended') && !TOLD_BY_A_ROTATION.has(message))
    .map(eventOf);
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
    reason: data.reason,
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
    return said.filter(Boolean).join('; ').slice(0, MAX_DETAIL);
  } catch {
    return '';
  }
}
