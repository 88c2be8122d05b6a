import type { CredentialView, EmergencyAnswer } from '../shared/api/messages.ts';
import type { Output } from './io.ts';
import { fields, operatorText, when } from './render.ts';

/** How far an emergency has come, in words. */
const STAGES: Readonly<Record<string, string>> = {
  intended: 'begun; the revocation is not recorded yet',
  revoked: 'revoked at the target; agents are not told yet',
  halted: 'revoked; agents are halted and wait for a replacement',
  generated: 'revoked; a replacement is made and not tested yet',
  validated: 'revoked; a replacement is tested and not stored yet',
  replaced: 'replaced; agents are not told to resume yet',
};

/** The emergency that keeps a credential's agents halted, and what to do next. */
export function renderEmergency(
  out: Output,
  credential: CredentialView,
  execution: EmergencyAnswer | undefined,
): void {
  const { name, emergency } = credential;
  if (emergency === undefined) return;
  const { incident, id, began, actor, reason, stage, awaitsOperator } = emergency;
  out.line(`\n${out.style('bold', 'emergency')}`);
  fields(out, [
    ['incident', incident],
    ['emergency', id],
    ['began', began && when(began)],
    ['asked for by', actor && `${actor}${reason === undefined ? '' : `: ${reason}`}`],
    ['state', `${out.style('red', stage)} – ${STAGES[stage] ?? stage}`],
    ['awaits operator', awaitsOperator && out.style('red', operatorText(awaitsOperator))],
    ['execution', execution && executionText(execution)],
    ['do next', nextStep(name, incident, stage, execution)],
  ]);
}

function executionText({ status, endedAt }: EmergencyAnswer): string {
  return endedAt === undefined ? status.toLowerCase() : `${status.toLowerCase()}, ended ${when(endedAt)}`;
}

function nextStep(
  name: string,
  incident: string,
  stage: string,
  execution: EmergencyAnswer | undefined,
): string {
  const again = `rekey revoke ${name} --incident ${incident} --reason …`;
  if (execution?.status === 'RUNNING') {
    return `wait: it is under way; \`rekey show ${name}\` has its state`;
  }
  if (execution?.status === 'SUCCEEDED' && stage === 'halted') {
    return `it was to revoke only: once a replacement is wanted, run \`${again}\``;
  }
  return `find the cause ("Emergency failed" in the runbook), then run it again: \`${again}\``;
}
