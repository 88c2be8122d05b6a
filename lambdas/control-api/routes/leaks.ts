import {
  leakRequest,
  type FamilyLeak,
  type LeakAnswer,
  type LeakMatch,
} from '../../../shared/api/messages.ts';
import { worstOf } from '../../../shared/domain/leak.ts';
import { allOver } from '../../../shared/engine/each.ts';
import type { FamilyLeak as FoundFamily } from '../../../shared/engine/families/leak.ts';
import type { LeakMatch as Found } from '../../../shared/engine/leak.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function reportLeak(call: Call, services: ControlServices): Promise<Done<LeakAnswer>> {
  const { incident, ...asked } = parse(leakRequest, call.body());
  const { actor, token } = call;
  const report = { ...asked, incidentId: incident, actor, token };
  const [found, families] = await allOver([services.reportLeak(report), services.reportFamilyLeak(report)]);
  const outcome = worstOf([...found, ...families].map((match) => match.outcome));
  const revoking = !asked.dryRun && found.some((match) => match.outcome === 'live');
  return {
    status: revoking ? 202 : 200,
    body: {
      outcome,
      dryRun: asked.dryRun,
      matches: found.map(matchView),
      ...(families.length === 0 ? {} : { families: families.map(familyView) }),
      ...(revoking ? { emergency: token } : {}),
    },
  };
}

function familyView({ token, family, outcome, why, revocation, unrecorded }: FoundFamily): FamilyLeak {
  return {
    ...(family === undefined ? {} : { family: family.name }),
    familyId: token.familyId,
    token: token.kind,
    fingerprint: token.fingerprint,
    givenAt: token.at,
    outcome,
    holders: (family?.terms.holders ?? []).map(({ name }) => name),
    ...(revocation === undefined ? {} : { revocation }),
    ...(why === undefined ? {} : { why }),
    ...(unrecorded === undefined ? {} : { unrecorded }),
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
