import type { ImpactAnswer } from '../../../shared/api/messages.ts';
import { impactOf } from '../../../shared/domain/impact.ts';
import { refusalsNow } from '../../../shared/engine/start.ts';
import { active, credentialOf } from '../lookup.ts';
import type { Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function impact(
  { params: [name = ''] }: Call,
  { ledger, clock }: ControlServices,
): Promise<Done<ImpactAnswer>> {
  const credential = await credentialOf(ledger, name);
  const found = impactOf(credential, clock());
  const { planned, notPlanned } = found;
  return {
    status: 200,
    body: {
      credential: credential.name,
      credentialId: credential.id,
      mode: credential.mode,
      at: found.at,
      refusals: refusalsNow(credential, await active(ledger, credential)).map((error) => error.toJSON()),
      affected: [...found.affected],
      agents: found.agents,
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
