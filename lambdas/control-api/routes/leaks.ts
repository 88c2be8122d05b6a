import { leakRequest, type LeakAnswer, type LeakMatch } from '../../../shared/api/messages.ts';
import { worstOf } from '../../../shared/domain/leak.ts';
import type { LeakMatch as Found } from '../../../shared/engine/leak.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function reportLeak(call: Call, services: ControlServices): Promise<Done<LeakAnswer>> {
  const { incident, ...asked } = parse(leakRequest, call.body());
  const { actor, token } = call;
  const found = await services.reportLeak({ ...asked, incidentId: incident, actor, token });
  const outcome = worstOf(found.map((match) => match.outcome));
  const revoking = !asked.dryRun && found.some((match) => match.outcome === 'live');
  return {
    status: revoking ? 202 : 200,
    body: {
      outcome,
      dryRun: asked.dryRun,
      matches: found.map(matchView),
      ...(revoking ? { emergency: token } : {}),
    },
  };
}

function matchView({ key, credential, outcome, deactivation, why, unrecorded }: Found): LeakMatch {
  const byHand = outcome === 'observed' ? credential?.byHand : undefined;
  return {
    ...(credential === undefined ? {} : { credential: credential.name }),
    credentialId: key.credentialId,
    fingerprint: key.fingerprint,
    handle: { id: key.handle.id, generation: key.handle.generation },
    issuedAt: key.issuedAt,
    outcome,
    holders: (credential?.holders ?? []).map(({ name }) => name),
    ...(deactivation === undefined
      ? {}
      : {
          deactivation: {
            method: deactivation.method,
            observedAt: deactivation.observedAt,
            detail: deactivation.detail,
          },
        }),
    ...(why === undefined ? {} : { why }),
    ...(byHand === undefined ? {} : { byHand }),
    ...(unrecorded === undefined ? {} : { unrecorded }),
  };
}
