import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import {
  isFull,
  isLost,
  type Acknowledgement,
  type Bears,
  type Pact,
  type PactCredential,
  type Session,
} from './agents.ts';
import { authenticationOf, usesOf, whyNotQuiet, type Reported, type Spans } from './authentication.ts';
import { fromInstant, toInstant, type Instant } from './clock.ts';
import type { ClientEvidence, Look } from './holder-evidence.ts';
import { named, namedText } from './named.ts';
import type { Rotation } from './rotation.ts';

/** An agent, or a sub-agent that gets the credential from one. */
export interface KnownAgent {
  readonly name: string;
  /** Who hands it the credential; absent of the holder itself. */
  readonly from?: string;
  readonly pact?: Pact | undefined;
  readonly sessions: readonly Session[];
}

/** What an agent is judged by. */
export interface ClientFacts {
  /** Name of the credential. */
  readonly credential: string;
  readonly rotation: Pick<Rotation, 'id' | 'phase' | 'loser' | 'old' | 'next'>;
  /** The holder itself, and whoever gets the credential from it, directly or not. */
  readonly agents: readonly KnownAgent[];
  /** Those of the window. */
  readonly acknowledgements: readonly Acknowledgement[];
  readonly uses: Reported;
  readonly spans: Spans;
}

/** How a session stands to the window. */
type Standing = 'moved' | 'waiting' | 'lost' | 'contradicted';

/**
 * What a look at an agent shows: which of its instances have moved, and why it hasn't where it hasn't (docs/agents.md).
 * Its sub-agents count as it does.
 */
export function clientSeen(look: Look, facts: ClientFacts): ClientEvidence {
  const { agents, spans, uses, rotation } = facts;
  const judged = agents.map((agent) => judge(look, facts, agent));
  const instances = (standing: Standing): string[] =>
    judged.flatMap(({ standings }) =>
      standings.filter((each) => each.standing === standing).map(({ instance }) => instance),
    );
  const known = new Set(agents.map(({ name }) => name));
  const acknowledgements = facts.acknowledgements.filter(({ agent }) => known.has(agent));
  const authentication = authenticationOf(
    agents.map(({ name, pact, sessions }) => ({
      name,
      sessions,
      uses: usesOf(pact, facts.credential, sessions),
    })),
    uses,
    spans,
    look.now,
  );
  return {
    holder: look.holder,
    opensAt: look.opensAt,
    observedAt: toInstant(look.now),
    kind: 'client',
    rotation: rotation.id,
    pacts: Object.fromEntries(
      agents.flatMap(({ name, pact }) => (pact === undefined ? [] : [[name, pact.version]])),
    ),
    ttlSeconds: Math.max(0, ...judged.map(({ terms }) => terms?.ttlSeconds ?? 0)),
    sessions: judged.reduce((sum, { standings }) => sum + standings.length, 0),
    moved: instances('moved').length,
    waiting: named(instances('waiting')),
    lost: named(instances('lost')),
    contradicted: named(instances('contradicted')),
    acknowledgements: acknowledgements.length,
    digest: digestOf(acknowledgements),
    ...(authentication === undefined ? {} : { authentication }),
    missing: [
      ...someOf(judged.flatMap(({ missing }) => missing)),
      ...(authentication === undefined ? [] : whyNotQuiet(authentication)),
    ],
  };
}

/** What the first of many sub-agents lack, and how much there is beside it. */
function someOf(missing: readonly string[]): readonly string[] {
  const { names, more } = named(missing);
  return more === 0 ? names : [...names, `and ${more} more`];
}

/** What an agent can bear of a credential, as its pact says. */
export function termsOf(pact: Pact | undefined, credential: string): PactCredential | undefined {
  return pact?.credentials.find((each) => each.credential === credential);
}

/** SHA-256 over acknowledgements, in whatever order they come. */
export function digestOf(acknowledgements: readonly Acknowledgement[]): string {
  const key = ({ agent, session }: Acknowledgement): string => JSON.stringify([agent, session]);
  const sorted = acknowledgements.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  return `sha256:${createHash('sha256')
    .update(canonicalize(sorted) ?? '')
    .digest('hex')}`;
}

interface Judged {
  readonly terms: PactCredential | undefined;
  readonly standings: readonly { readonly instance: string; readonly standing: Standing }[];
  readonly missing: readonly string[];
}

function judge(look: Look, facts: ClientFacts, { name, from, pact, sessions }: KnownAgent): Judged {
  const terms = termsOf(pact, facts.credential);
  // Of a holder its instances are named alone; of a sub-agent with it.
  const standings = sessions
    .filter(({ closedAt }) => closedAt === undefined || closedAt >= look.opensAt)
    .map((session) => ({
      instance: from === undefined ? session.instance : `${name}/${session.instance}`,
      standing: standingOf(look, facts, pact, session),
    }));
  const who = from === undefined ? name : `${name} (which gets it from ${from})`;
  const of = (standing: Standing): string[] =>
    standings.filter((each) => each.standing === standing).map(({ instance }) => instance);
  const say = (standing: Standing, text: (some: string) => string): string[] =>
    of(standing).length === 0 ? [] : [text(namedText(named(of(standing))))];
  const unknown = pact === undefined ? 'has registered no pact' : `has a pact without ${facts.credential}`;
  return {
    terms,
    standings,
    missing: [
      ...(terms === undefined && pact?.decommissioned === undefined ? [`${who} ${unknown}`] : []),
      ...(isFull(sessions, look.now)
        ? [`${who} has as many sessions as Rekey takes: others may work without one`]
        : []),
      ...say(
        'waiting',
        (some) =>
          `${who}: ${of('waiting').length} of ${standings.length} sessions have not acknowledged: ${some}`,
      ),
      ...say('lost', (some) => `${who}: silent, and may still work with the value of before: ${some}`),
      ...say(
        'contradicted',
        (some) => `${who}: seen with another version after its acknowledgement: ${some}`,
      ),
    ],
  };
}

function standingOf(
  { opensAt, now }: Look,
  facts: ClientFacts,
  pact: Pact | undefined,
  session: Session,
): Standing {
  if (session.closedAt !== undefined) return 'moved';
  const acknowledged = facts.acknowledgements.find(
    (each) => each.session === session.id && each.agent === session.agent,
  );
  const contradicted = acknowledged && contradictedAt(facts, session, acknowledged);
  if (acknowledged !== undefined && counts(facts, acknowledged) && contradicted === undefined) return 'moved';
  if (pact !== undefined && termsOf(pact, facts.credential) !== undefined && isLost(session, now)) {
    const since = Math.max(fromInstant(opensAt), fromInstant(contradicted ?? opensAt));
    const until = bearsOfBoth(pact, session).map((bears) =>
      worksUntil(bears, facts.credential, session, since),
    );
    return now < Math.max(...until) ? 'lost' : 'moved';
  }
  if (contradicted !== undefined) return 'contradicted';
  return acknowledged === undefined && cameAfterKept(facts, pact, session, opensAt) ? 'moved' : 'waiting';
}

/**
 * Whether a session has begun when nobody could have the kept credential any more. What mode overlap keeps has no open
 * window: whoever comes later can't acknowledge, and reads from the vault what is current.
 */
function cameAfterKept(
  { credential, rotation }: ClientFacts,
  pact: Pact | undefined,
  session: Session,
  opensAt: Instant,
): boolean {
  if (rotation.phase !== 'completed' || termsOf(pact, credential) === undefined) return false;
  const since = fromInstant(opensAt);
  const over = bearsOfBoth(pact, session).map((bears) => keepsUntil(bears, credential, since));
  return (
    fromInstant(session.openedAt) >= Math.max(...over) &&
    !holdsOther(credential, session, rotation.next?.versionId)
  );
}

/** The pact of now, and that under which the session was opened. */
function bearsOfBoth(pact: Pact | undefined, { bears }: Session): Bears[] {
  return [pact, bears].filter((each) => each !== undefined);
}

/** Until when a value that has changed at `since` is kept, vault or not. */
function keepsUntil({ credentials }: Bears, credential: string, since: number): number {
  const terms = credentials.find((each) => each.credential === credential);
  return since + (terms === undefined ? 0 : terms.ttlSeconds + terms.staleLimitSeconds) * 1000;
}

/** Whether a session says that it holds another version as well. A pool that is being drained holds the old one, too. */
function holdsOther(credential: string, { holds }: Session, versionId: string | undefined): boolean {
  return holds.some((held) => held.credential === credential && held.versionId !== versionId);
}

/**
 * Until when a silent session may still work with a value that has changed at `since`. It keeps a value for its ttl, and
 * longer only where it can't reach the vault; one that can't change it within the session, until that ends at the latest.
 */
function worksUntil(bears: Bears, credential: string, { openedAt }: Session, since: number): number {
  const alone = keepsUntil(bears, credential, since);
  const fixed = bears.credentials.some(
    (each) => each.credential === credential && each.refresh === 'between-sessions',
  );
  return fixed ? Math.max(alone, fromInstant(openedAt) + bears.sessionLimitSeconds * 1000) : alone;
}

function counts({ rotation: { loser, old, next } }: ClientFacts, acknowledged: Acknowledgement): boolean {
  const wanted = loser === 'old' ? next : old;
  return acknowledged.persisted && acknowledged.versionId === wanted?.versionId;
}

/** When a session showed that it works on with another version than it has acknowledged. */
function contradictedAt(
  { credential, uses }: ClientFacts,
  session: Session,
  { versionId, at, contradictedAt: marked }: Acknowledgement,
): Instant | undefined {
  if (marked !== undefined) return marked;
  if (holdsOther(credential, session, versionId) && session.seenAt > at) return session.seenAt;
  const used = uses.recent.find(
    (use) =>
      use.session === session.id &&
      use.agent === session.agent &&
      use.versionId !== versionId &&
      use.succeeded + use.refused > 0 &&
      use.from > at,
  );
  return used?.to;
}
