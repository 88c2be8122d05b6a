import {
  applyPactRequest,
  listQuery,
  viewOfPact,
  type ApplyPactAnswer,
  type PactShownAnswer,
  type PactsAnswer,
  type SessionView,
} from '../../../shared/api/messages.ts';
import { isLost, type Session } from '../../../shared/domain/agents.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { parsePact } from '../../../shared/domain/pact.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

/** How many sessions of an agent are shown. */
const SHOWN = 200;

export async function listPacts({ query }: Call, { agents }: ControlServices): Promise<Done<PactsAnswer>> {
  const { items, next } = await agents.pacts(parse(listQuery, query).page);
  return { status: 200, body: { pacts: items.map(viewOfPact), ...(next === undefined ? {} : { next }) } };
}

export async function showPact(
  { params: [agent = ''] }: Call,
  { agents, clock }: ControlServices,
): Promise<Done<PactShownAnswer>> {
  const pact = await agents.pact(agent);
  if (pact === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `the agent "${agent}" has no pact`, {
      field: 'agent',
      remedy: '`rekey pacts` lists the agents that have one',
    });
  }
  const sessions = await agents.sessions(agent);
  const newest = sessions.toSorted((a, b) => (a.seenAt > b.seenAt ? -1 : 1)).slice(0, SHOWN);
  return {
    status: 200,
    body: {
      pact: viewOfPact(pact),
      total: sessions.length,
      sessions: newest.map((session) => viewOfSession(session, clock())),
    },
  };
}

export async function applyPact(call: Call, services: ControlServices): Promise<Done<ApplyPactAnswer>> {
  const { pact: document, dryRun } = parse(applyPactRequest, call.body());
  const terms = parsePact(document);
  const { outcome, pact } = await services.registerPact({ terms, actor: call.actor, dryRun });
  return { status: 200, body: { outcome, dryRun, pact: viewOfPact(pact) } };
}

function viewOfSession(session: Session, now: number): SessionView {
  const { id, instance, openedAt, seenAt, closedAt, holds } = session;
  return {
    id,
    instance,
    state: closedAt !== undefined ? 'closed' : isLost(session, now) ? 'lost' : 'running',
    openedAt,
    seenAt,
    holds: holds.map(({ credential, versionId }) => ({ credential, version: versionId })),
  };
}
