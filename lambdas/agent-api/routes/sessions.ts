import {
  closeRequest,
  heartbeatRequest,
  sessionRequest,
  usesRequest,
  viewOfNotice,
  type CloseAnswer,
  type NoticesAnswer,
  type SessionAnswer,
  type UsesAnswer,
} from '../../../shared/api/agent-messages.ts';
import { bareKey } from '../../../shared/domain/instance-key.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { AgentDeps } from '../../../shared/engine/agents/deps.ts';
import * as sessions from '../../../shared/engine/agents/sessions.ts';
import * as reported from '../../../shared/engine/agents/uses.ts';
import { parse, type Call } from '../../http/request.ts';
import { FORM, type Done } from '../route.ts';

export async function open(call: Call, deps: AgentDeps): Promise<Done<SessionAnswer>> {
  const { key, opening } = parse(sessionRequest, call.body(), FORM);
  const opened = await sessions.openSession(deps, speakingOf(call), {
    key: new Redacted(bareKey(key)),
    jws: opening,
  });
  return {
    status: 201,
    body: {
      session: opened.session.id,
      notices: opened.notices.map(viewOfNotice),
      heartbeatSeconds: opened.heartbeatSeconds,
    },
  };
}

export async function heartbeat(call: Call, deps: AgentDeps): Promise<Done<NoticesAnswer>> {
  const { heartbeat: jws } = parse(heartbeatRequest, call.body(), FORM);
  const found = await sessions.heartbeat(deps, speakingOf(call), { session: sessionOf(call), jws });
  return { status: 200, body: { notices: found.map(viewOfNotice) } };
}

export async function notices(call: Call, deps: AgentDeps): Promise<Done<NoticesAnswer>> {
  const found = await sessions.notices(deps, speakingOf(call), { session: sessionOf(call) });
  return { status: 200, body: { notices: found.map(viewOfNotice) }, cacheable: true };
}

export async function reportUses(call: Call, deps: AgentDeps): Promise<Done<UsesAnswer>> {
  const { uses: jws } = parse(usesRequest, call.body(), FORM);
  const kept = await reported.reportUses(deps, speakingOf(call), { session: sessionOf(call), jws });
  return { status: 200, body: { reported: kept } };
}

export async function close(call: Call, deps: AgentDeps): Promise<Done<CloseAnswer>> {
  const { close: jws } = parse(closeRequest, call.body(), FORM);
  await sessions.closeSession(deps, speakingOf(call), { session: sessionOf(call), jws });
  return { status: 200, body: { closed: true } };
}

/** Who calls, as which agent. */
export function speakingOf({ actor, params: [agent = ''] }: Call): { agent: string; caller: string } {
  return { agent, caller: actor };
}

/** The session in the path. */
export function sessionOf({ params: [, session = ''] }: Call): string {
  return session;
}
