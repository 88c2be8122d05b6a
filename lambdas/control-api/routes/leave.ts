import {
  pauseRequest,
  reasonRequest,
  unregisterRequest,
  type PauseAnswer,
  type UnregisterAnswer,
} from '../../../shared/api/messages.ts';
import { credentialView } from '../../../shared/api/views.ts';
import type { CredentialHandle } from '../../../shared/domain/credential.ts';
import { isAuthority, isKeptUnder } from '../../../shared/domain/bundle.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { active, find, triggerOf } from '../lookup.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done, Paused } from '../route.ts';

export async function pause(call: Call, services: ControlServices): Promise<Done<PauseAnswer>> {
  const { reason } = parse(pauseRequest, call.body());
  const [name = ''] = call.params;
  return answer(services, await services.pause({ name, trigger: triggerOf(call.actor, reason) }));
}

export async function unpause(call: Call, services: ControlServices): Promise<Done<PauseAnswer>> {
  const { reason } = parse(reasonRequest, call.body());
  const [name = ''] = call.params;
  return answer(services, await services.unpause({ name, trigger: triggerOf(call.actor, reason) }));
}

async function answer(
  { ledger, clock }: ControlServices,
  { credential, changed, backstop }: Paused,
): Promise<Done<PauseAnswer>> {
  const view = credentialView(credential, await active(ledger, credential), clock());
  return { status: 200, body: { credential: view, changed, backstop } };
}

const handleView = ({ id, generation }: CredentialHandle) => ({ id, generation });

export async function unregister(call: Call, services: ControlServices): Promise<Done<UnregisterAnswer>> {
  const { reason, dryRun, unconfirmed: accepted } = parse(unregisterRequest, call.body());
  const [name = ''] = call.params;
  const trigger = triggerOf(call.actor, reason);
  const asked = { name, trigger, dryRun, unconfirmed: accepted };
  await assertKeepsNothing(services, name);
  const { outcome, credential, alive, unconfirmed = [] } = await services.unregister(asked);
  return {
    status: 200,
    body: {
      outcome,
      dryRun,
      name: credential.name,
      id: credential.id,
      alive: alive.map(handleView),
      unconfirmed: unconfirmed.map(handleView),
    },
  };
}

/** Lists of an authority that was let go of are signed no more: the end of what it has signed for Rekey would be told to nobody. */
async function assertKeepsNothing({ ledger }: ControlServices, nameOrId: string): Promise<void> {
  const authority = await find(ledger, nameOrId);
  if (authority === undefined || !isAuthority(authority)) return;
  const kept: string[] = [];
  let page: string | undefined;
  do {
    const { items, next } = await ledger.list(page);
    kept.push(...items.filter((each) => isKeptUnder(authority.name, each)).map(({ name }) => name));
    page = next;
  } while (page !== undefined);
  if (kept.length === 0) return;
  throw new RekeyError('ERR_CONFLICT', `${authority.name} tells the end of ${kept.join(', ')}`, {
    field: 'name',
    remedy: 'unregister those first; what of them is to end now, revoke before that',
  });
}
