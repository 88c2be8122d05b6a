import { stagedRequest, type StagedAnswer, type StagedStep } from '../../../shared/api/messages.ts';
import { tasksOf } from '../../../shared/domain/leaver.ts';
import type { Done as Rotated } from '../../../shared/engine/staged.ts';
import { parse, type Call } from '../../http/request.ts';
import { triggerOf } from '../lookup.ts';
import type { ControlServices, Done } from '../route.ts';
import { selectForRotation, type AffectedBy } from '../staged.ts';

/** How long starts may take in one request, reading included; what has had no turn is left for the next one. */
const BUDGET_MS = 20_000;

/** Rotates all of a selection, each with a window of its own. */
export async function rotateSelection(call: Call, services: ControlServices): Promise<Done<StagedAnswer>> {
  const { select, incident, reason, dryRun } = parse(stagedRequest, call.body());
  const until = services.clock() + BUDGET_MS;
  const { affected, families, unknown } = await selectForRotation(services, select);
  const trigger = triggerOf(call.actor, reason);
  const { done, left } = await services.rotateAll({ affected, trigger, incidentId: incident, dryRun, until });
  const steps = done.map(({ of, done: what }) => stepView(of, what));
  return {
    status: steps.some(({ act }) => act === 'started') ? 202 : 200,
    body: {
      dryRun,
      steps,
      families: families.map(({ name, why }) => ({
        family: name,
        why,
        remedy: `have somebody else consent: rekey connect ${name}; to end it now: rekey revoke ${name} --incident ${incident} --reason …`,
      })),
      unknown: [...unknown],
      left,
    },
  };
}

function stepView({ credential, why }: AffectedBy, done: Rotated): StagedStep {
  const { id, name, type, provider } = credential;
  const { act } = done;
  const begins = act === 'start' || act === 'started' || act === 'joined';
  return {
    credential: name,
    credentialId: id,
    type,
    provider,
    act,
    why: [...why],
    ...('rotation' in done ? { rotation: done.rotation } : {}),
    ...('text' in done ? { text: done.text } : {}),
    ...('remedy' in done && done.remedy !== undefined ? { remedy: done.remedy } : {}),
    beside: 'beside' in done ? [...done.beside] : [],
    tasks: begins ? tasksOf(credential) : [],
  };
}
