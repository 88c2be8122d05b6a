import { LONGEST_REPORT_SECONDS } from '../../domain/agents.ts';
import { toInstant } from '../../domain/clock.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { NoticeFacts } from '../../domain/notices.ts';
import { parseUses, type UsesPayload } from '../../domain/signed.ts';
import type { AgentDeps } from './deps.ts';
import { signedBy } from './signed.ts';
import { factsOf, openSessionOf, speakerOf, standing, type Speaking } from './speaker.ts';

type ReportedUse = UsesPayload['uses'][number];

/** A report reaches back so far, and may be ahead of this clock by so much. */
const OLDEST_MS = 60 * 60_000;
const AHEAD_MS = 60_000;

/**
 * Keeps what an instance reports of its uses by its signed word, and says how much of it. The same report again counts once,
 * whoever sends it: it ends no later than one before it in its minute, which is remembered for longer than a report may be
 * old. What isn't in the pact any more is passed over, but that it came, and so are versions that the instance doesn't hold and nobody gives out,
 * such as one that an emergency has just ended. Uses of another version than the acknowledged one, begun after the
 * acknowledgement, contradict it.
 * @throws RekeyError ERR_PROOF where somebody else has signed; ERR_REQUEST naming the report
 */
export async function reportUses(
  deps: AgentDeps,
  speaking: Speaking,
  { session: id, jws }: { session: string; jws: string },
): Promise<number> {
  const speaker = await speakerOf(deps, speaking);
  const session = await openSessionOf(deps, speaking.agent, id);
  const { uses } = await signedBy(deps, session, parseUses, jws);
  const facts = await factsOf(deps, speaker, session);
  const now = deps.clock();
  const known = uses.flatMap((use, index) => {
    const at = `payload.uses[${index}]`;
    const found = facts.get(use.credential);
    if (found === undefined) return [];
    const held = session.holds.some(
      ({ credential, versionId }) => credential === use.credential && versionId === use.versionId,
    );
    const times = timesOf(use, at, now);
    if (!held && !versionsOf(found).includes(use.versionId)) return [];
    return [{ ...use, ...times, credentialId: found.credential.id }];
  });
  for (const { credential: _name, ...use } of known)
    await deps.agents.report({ ...use, agent: speaking.agent, session: id });
  await noteStrays(
    deps,
    speaking.agent,
    uses.filter(({ credential, succeeded, refused }) => !facts.has(credential) && succeeded + refused > 0),
  );
  const acknowledged = standing(facts);
  for (const { credential, versionId, from, succeeded, refused } of known) {
    const claim = acknowledged.get(credential);
    if (claim !== undefined && claim.versionId !== versionId && from >= claim.at && succeeded + refused > 0)
      await deps.agents.contradict(claim, toInstant(now));
  }
  return known.length;
}

/** What an agent reports of a credential that isn't its own counts nowhere, and is unusual (docs/signals.md). */
async function noteStrays(deps: AgentDeps, agent: string, uses: readonly ReportedUse[]): Promise<void> {
  for (const name of new Set(uses.map(({ credential }) => credential))) {
    const credentialId = await deps.ledger.idByName(name);
    if (credentialId !== undefined)
      await deps.agents.stray({ credentialId, agent, at: toInstant(deps.clock()) });
  }
}

function versionsOf({ credential, rotation }: NoticeFacts): readonly (string | undefined)[] {
  return [credential.current, rotation?.old, rotation?.next].map((key) => key?.versionId);
}

/** In the one form in which instants are compared as text. */
function timesOf({ from, to }: ReportedUse, at: string, now: number): Pick<ReportedUse, 'from' | 'to'> {
  const [began, ended] = [Date.parse(from), Date.parse(to)];
  if (ended < began) throw mistake(`${at}.to`, 'it ends before it begins');
  if (ended - began > LONGEST_REPORT_SECONDS * 1000)
    throw mistake(`${at}.to`, 'a report covers ten minutes at most');
  if (ended > now + AHEAD_MS) throw mistake(`${at}.to`, 'it ends in the future');
  if (began < now - OLDEST_MS) throw mistake(`${at}.from`, 'it began more than an hour ago');
  return { from: toInstant(began), to: toInstant(ended) };
}

function mistake(field: string, message: string): RekeyError {
  return new RekeyError('ERR_REQUEST', `${field}: ${message}`, {
    field,
    remedy: 'docs/agents.md has what is reported',
  });
}
