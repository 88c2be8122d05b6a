import type { TraceAnswer } from '../../shared/api/messages.ts';
import { opensOf, serverOf } from '../../shared/api/family-view.ts';
import { readerView } from '../../shared/api/views.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Family } from '../../shared/domain/families.ts';
import { familyTrailOf } from '../../shared/domain/forensics/family-trail.ts';
import { sightings } from '../../shared/domain/readers.ts';
import { FAMILY_TYPE } from '../../shared/names.ts';
import { MOST_RECORDS } from './family-audit.ts';
import type { ControlServices } from './route.ts';

/** What records and head of a token family tell of an incident, in the form in which a credential's do. */
export async function traceFamily(
  { families, readers, clock }: Pick<ControlServices, 'families' | 'readers' | 'clock'>,
  family: Family,
  incident: string,
): Promise<TraceAnswer> {
  const records: AuditRecord[] = [];
  for await (const record of families.records(family.id)) {
    records.push(record);
    if (records.length === MOST_RECORDS) break;
  }
  const trail = familyTrailOf(records, incident, { head: family, now: toInstant(clock()) });
  if (trail.moments.length === 0) throw notOfIncident(family.name, incident);
  const { id, name, terms, secretName, refreshSecretName } = family;
  const seen = await Promise.all([secretName, refreshSecretName].map((secret) => readers.of(secret)));
  return {
    incident,
    credential: {
      id,
      name,
      type: FAMILY_TYPE,
      provider: serverOf(family),
      access: 'as its scopes say',
      sensitivity: 'not declared',
      opens: opensOf(family),
    },
    ...stageOf(family, incident),
    ...trail,
    keys: trail.keys.map((key) => ({ ...key, versionIds: [...key.versionIds] })),
    moments: [...trail.moments],
    holes: [...trail.holes],
    holders: terms.holders.map((holder) => ({ name: holder.name, kind: holder.kind })),
    seenBefore: [],
    readers: sightings(seen.flat(), terms.holders).map(readerView),
  };
}

function stageOf({ incident: held }: Family, incident: string): Pick<TraceAnswer, 'stage'> {
  if (held?.id !== incident) return {};
  return { stage: held.pending.length > 0 ? 'revoking' : 'halted' };
}

/** The refusal of an incident that nothing of it tells of. */
export function notOfIncident(name: string, incident: string): RekeyError {
  return new RekeyError('ERR_NOT_FOUND', `no record of ${name} is of the incident ${incident}`, {
    field: 'incident',
    remedy: '`rekey incident list` names the incidents that there are',
  });
}
