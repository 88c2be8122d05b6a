import type { Pact, UseReport } from '../../domain/agents.ts';
import { firstSlot, isOverdue, isSettled, nextSlot } from '../../domain/anomalies/slots.ts';
import { suspicionOf } from '../../domain/anomalies/suspicion.ts';
import { plusSeconds, type Instant } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import type { AgentStore } from '../../ports/agents.ts';
import type { Baselines } from '../../ports/baselines.ts';
import type { LedgerReads } from '../../ports/ledger.ts';
import type { UpstreamUses } from '../../ports/upstream-uses.ts';
import { eachOf } from '../each.ts';
import { learn } from './learn.ts';
import { judgeUpstream } from './upstream.ts';

/** What uses are judged with. */
export interface UsesDeps {
  readonly baselines: Pick<Baselines, 'read' | 'keep' | 'suspect' | 'progress' | 'proceed'>;
  readonly ledger: Pick<LedgerReads, 'list' | 'credential'>;
  readonly agents: Pick<AgentStore, 'useLog' | 'pact' | 'strays'>;
  readonly upstreamUses: Pick<UpstreamUses, 'begun'>;
  readonly clock: () => number;
}

/** For the log: how many slots of time were judged to their end, of how many credentials, and how much was unusual. */
export interface UsesJudged {
  readonly slots: number;
  readonly credentials: number;
  readonly unusual: number;
}

const AT_ONCE = 10;
/** Of so many credentials that an agent doesn't hold, and says to have used, a person is told in a slot. */
const STRAYS_TOLD = 5;

/**
 * Holds what agents have reported of their uses, and what upstreams tell of them, against what is usual and against what was
 * agreed: a slot of time after the other, and as far as it comes `until` then. How far it has come is kept after each page of credentials; whoever does one again
 * finds what is counted already, which counts once.
 * @throws what one credential has failed with, once all others of its page had their turn, or all others where it fails for hours
 */
export async function judgeUses(deps: UsesDeps, until = Infinity): Promise<UsesJudged> {
  const { baselines, clock } = deps;
  const result = { slots: 0, credentials: 0, unusual: 0 };
  const pacts = new Map<string, Promise<Pact | undefined>>();
  const before = await baselines.progress();
  let slot = firstSlot(before?.slot, clock());
  let page = slot === before?.slot ? before.page : undefined;
  const left: unknown[] = [];
  while (isSettled(slot, clock()) && clock() < until) {
    const { items, next } = await deps.ledger.list(page);
    const failures: unknown[] = [];
    await eachOf(items, AT_ONCE, async (credential) => {
      try {
        const reported = await judgeReports(deps, pacts, credential, slot);
        const told = await judgeUpstream(deps, credential, slot);
        result.unusual += reported + told;
      } catch (error) {
        failures.push(error);
      }
    });
    if (next === undefined) result.unusual += await suspectStrays(deps, slot, failures);
    // The page is done again by the next run, until it has kept all others waiting for long.
    if (failures.length > 0 && !isOverdue(slot, clock())) throw failures[0];
    left.push(...failures);
    result.credentials += items.length;
    if (next === undefined) {
      result.slots++;
      slot = nextSlot(slot);
    }
    page = next;
    await baselines.proceed({ slot, ...(page === undefined ? {} : { page }) });
  }
  if (left.length > 0) throw left[0];
  return result;
}

async function judgeReports(
  deps: UsesDeps,
  pacts: Map<string, Promise<Pact | undefined>>,
  credential: Credential,
  slot: Instant,
): Promise<number> {
  if (!credential.holders.some(({ kind }) => kind === 'client')) return 0;
  let unusual = 0;
  for (const [agent, times] of await timesOf(deps, credential.id, slot)) {
    const pact = await pactOf(deps, pacts, agent);
    const most = pact?.credentials.find((each) => each.credential === credential.name)?.usesPerHour;
    const sighting = {
      at: slot,
      id: slot,
      times,
      traits: { hour: slot.slice(11, 13) },
      ...(most === undefined ? {} : { most }),
    };
    const who = { kind: 'agent', principal: agent } as const;
    unusual += await learn(deps.baselines, credential.secretName, JSON.stringify([who.kind, agent]), [
      { who, sighting },
    ]);
  }
  return unusual;
}

/** How often each agent has used it, all its instances together. Who reports zeros is idle. */
async function timesOf({ agents }: UsesDeps, id: string, slot: Instant): Promise<Map<string, number>> {
  const end = nextSlot(slot);
  const counts = new Map<string, number>();
  const isWithin = ({ from }: UseReport): boolean => from >= slot && from < end;
  for await (const use of agents.useLog(id, slot, plusSeconds(end, -1))) {
    const times = use.succeeded + use.refused;
    if (times > 0 && isWithin(use)) counts.set(use.agent, (counts.get(use.agent) ?? 0) + times);
  }
  return counts;
}

/** Read once for each agent and run, however many credentials it has. */
async function pactOf(
  { agents }: UsesDeps,
  pacts: Map<string, Promise<Pact | undefined>>,
  agent: string,
): Promise<Pact | undefined> {
  const found = pacts.get(agent) ?? agents.pact(agent);
  pacts.set(agent, found);
  return found;
}

/** What agents have reported of credentials that are none of theirs needs no baseline. What fails joins `failures`, the others have their turn. */
async function suspectStrays(
  { agents, ledger, baselines }: UsesDeps,
  slot: Instant,
  failures: unknown[],
): Promise<number> {
  const strays = await agents.strays(slot, nextSlot(slot)).catch((error: unknown) => {
    failures.push(error);
    return [];
  });
  // An agent that names everything says no more than one that names some.
  const told = [...Map.groupBy(strays, ({ agent }) => agent).values()].flatMap((own) =>
    own.slice(0, STRAYS_TOLD),
  );
  const suspect = async ({ credentialId, agent, at }: (typeof told)[number]): Promise<void> => {
    const credential = await ledger.credential(credentialId);
    if (credential === undefined) return;
    const finding = {
      rule: 'stray',
      what: 'pact',
      text: 'reports uses of it, which neither its pact nor the declaration gives it',
    } as const;
    const who = { kind: 'agent', principal: agent } as const;
    await baselines.suspect(suspicionOf(credential.secretName, who, at, finding));
  };
  for (const stray of told) await suspect(stray).catch((error: unknown) => failures.push(error));
  return told.length;
}
