import {
  acknowledgementRequest,
  challengeRequest,
  type AcknowledgementAnswer,
  type ChallengeAnswer,
} from '../../../shared/api/agent-messages.ts';
import * as proofs from '../../../shared/engine/agents/acknowledge.ts';
import type { AgentDeps } from '../../../shared/engine/agents/deps.ts';
import { parse, type Call } from '../../http/request.ts';
import { FORM, type Done } from '../route.ts';
import { sessionOf, speakingOf } from './sessions.ts';

export async function challenge(call: Call, deps: AgentDeps): Promise<Done<ChallengeAnswer>> {
  const { rotation } = parse(challengeRequest, call.body(), FORM);
  return {
    status: 201,
    body: await proofs.challenge(deps, speakingOf(call), { session: sessionOf(call), rotation }),
  };
}

export async function acknowledge(call: Call, deps: AgentDeps): Promise<Done<AcknowledgementAnswer>> {
  const { acknowledgement: jws } = parse(acknowledgementRequest, call.body(), FORM);
  const { rotation, versionId, at } = await proofs.acknowledge(deps, speakingOf(call), {
    session: sessionOf(call),
    jws,
  });
  return { status: 200, body: { rotation, versionId, acknowledgedAt: at } };
}
