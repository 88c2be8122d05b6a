import { toInstant } from '../../domain/clock.ts';
import { concerned } from '../../domain/events.ts';
import type { Family, FamilyIncident } from '../../domain/families.ts';
import { EVENT } from '../../names.ts';
import type { FamilyDeps } from './deps.ts';

/** Tells the agents of a family to halt or to resume, as those of a credential are told; the same again has the same id. */
export function tellAgents(
  { events, clock }: Pick<FamilyDeps, 'events' | 'clock'>,
  detailType: typeof EVENT.halt | typeof EVENT.resume,
  { id, terms }: Family,
  { id: incidentId, since, trigger }: Pick<FamilyIncident, 'id' | 'since' | 'trigger'>,
): Promise<void> {
  return events.publish(detailType, {
    id: `${incidentId}-${since}-${id}-${detailType === EVENT.halt ? 'halt' : 'resume'}`,
    time: toInstant(clock()),
    credentialId: id,
    incidentId,
    reason: trigger.reason ?? '',
    ...concerned(terms.holders),
  });
}
