import type { ImpactAnswer } from '../../../shared/api/messages.ts';
import { impactOf } from '../../../shared/domain/impact.ts';
import { limitsOf } from '../../../shared/domain/limits.ts';
import { agentsOfCredential } from '../../../shared/engine/clients.ts';
import { orderOf } from '../../../shared/engine/order.ts';
import { refusalsNow } from '../../../shared/engine/start.ts';
import { active, credentialOf } from '../lookup.ts';
import type { Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function impact(
  { params: [name = ''] }: Call,
  { ledger, agents, clock }: ControlServices,
): Promise<Done<ImpactAnswer>> {
  const credential = await credentialOf(ledger, name);
  const known = await agentsOfCredential({ agents }, credential);
  const { obstacles } = await orderOf({ ledger, agents, clock }, credential);
  const found = impactOf(credential, clock(), known);
  const { planned, notPlanned, deferral } = found;
  return {
    status: 200,
    body: {
      credential: credential.name,
      credentialId: credential.id,
      mode: credential.mode,
      at: found.at,
      refusals: refusalsNow(credential, await active(ledger, credential), clock()).map((error) =>
        error.toJSON(),
      ),
      beside: obstacles.map(({ text }) => text),
      affected: [...found.affected],
      agents: found.agents,
      inSession: found.inSession.map((each) => ({ ...each, atRisk: [...each.atRisk] })),
      ...(deferral === undefined ? {} : { deferral: { ...deferral, agents: [...deferral.agents] } }),
      limits: [...limitsOf(credential)],
      now: [...found.now],
      ...(planned === undefined
        ? {}
        : { planned: { startsAt: planned.startsAt, moments: [...planned.moments] } }),
      ...(notPlanned === undefined ? {} : { notPlanned }),
      irreversible: [...found.irreversible],
      also: [...found.also],
      unknown: [...found.unknown],
    },
  };
}
