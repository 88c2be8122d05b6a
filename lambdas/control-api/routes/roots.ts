import { confirmRootRequest, type ConfirmRootAnswer } from '../../../shared/api/messages.ts';
import { credentialView } from '../../../shared/api/views.ts';
import { parse, type Call } from '../../http/request.ts';
import { triggerOf } from '../lookup.ts';
import type { ControlServices, Done } from '../route.ts';

export async function confirmRoot(call: Call, services: ControlServices): Promise<Done<ConfirmRootAnswer>> {
  const { reason, dryRun } = parse(confirmRootRequest, call.body());
  const [name = ''] = call.params;
  const trigger = triggerOf(call.actor, reason);
  const { outcome, credential, letIn } = await services.confirmRoot({ name, trigger, dryRun });
  const view = credentialView(credential, undefined, services.clock());
  return { status: 200, body: { outcome, dryRun, credential: view, letIn: [...letIn] } };
}
