import type { Pact } from '../../domain/agents.ts';
import { cycleIn, delegationsOf } from '../../domain/delegation.ts';
import { RekeyError, throwAll } from '../../domain/errors.ts';
import {
  assertBearable,
  assertInService,
  cycleRefused,
  nextVersion,
  type PactTerms,
} from '../../domain/pact.ts';
import { untilCommitted } from '../state.ts';
import type { AgentDeps } from './deps.ts';
import { declaredOf } from './speaker.ts';

/** Most agents that one delegation leads to: all of their pacts are held against what is stored, in one transaction. */
const MAX_REACHED = 50;

export interface PactRequest {
  readonly terms: PactTerms;
  /** ARN of who asks. */
  readonly actor: string;
  /** True where an operator asks, who may speak for any agent. */
  readonly operator: boolean;
  readonly dryRun: boolean;
}

export interface PactAnswer {
  readonly outcome: 'registered' | 'unchanged';
  readonly pact: Pact;
}

/**
 * Registers a pact: the next version, or none where nothing has changed.
 * @throws RekeyError ERR_PACT, ERR_FORBIDDEN
 */
export function registerPact(
  deps: Pick<AgentDeps, 'ledger' | 'agents' | 'clock'>,
  { terms, actor, operator, dryRun }: PactRequest,
): Promise<PactAnswer> {
  return untilCommitted(async () => {
    const declared = await declaredOf(
      deps,
      terms.credentials.map(({ credential }) => credential),
    );
    assertBearable(terms, declared, operator ? undefined : actor);
    const [before, reached] = await Promise.all([deps.agents.pact(terms.agent), reachedFrom(deps, terms)]);
    if (!operator) assertInService(before);
    assertNoWayBack(terms, reached);
    const pact = nextVersion(terms, before, { actor, now: deps.clock() });
    if (pact === undefined && before !== undefined) return { outcome: 'unchanged', pact: before };
    if (pact === undefined) throw new RekeyError('ERR_PROTOCOL', 'a first version is no repetition');
    if (!dryRun) {
      const versions = [...reached].map(([agent, found]) => [agent, found?.version ?? 0] as const);
      await deps.agents.putPact(pact, new Map(versions));
    }
    return { outcome: 'registered', pact };
  });
}

/** The pacts that a delegation leads to, agent by agent; undefined for an agent that has none yet. */
async function reachedFrom(
  { agents }: Pick<AgentDeps, 'agents'>,
  terms: PactTerms,
): Promise<ReadonlyMap<string, Pact | undefined>> {
  const reached = new Map<string, Pact | undefined>();
  const left = delegatesOf(terms);
  for (let agent = left.shift(); agent !== undefined; agent = left.shift()) {
    if (agent === terms.agent || reached.has(agent)) continue;
    if (reached.size >= MAX_REACHED) {
      throw new RekeyError('ERR_PACT', `the delegation leads to more than ${MAX_REACHED} agents`, {
        field: 'credentials',
        remedy: 'let sub-agents get the credential from the vault themselves',
      });
    }
    const pact = await agents.pact(agent);
    reached.set(agent, pact);
    if (pact !== undefined) left.push(...delegatesOf(pact));
  }
  return reached;
}

function delegatesOf({ credentials }: Pick<Pact, 'credentials'>): string[] {
  return credentials.flatMap(({ delegates }) => delegates);
}

function assertNoWayBack(terms: PactTerms, reached: ReadonlyMap<string, Pact | undefined>): void {
  const pacts = [terms, ...[...reached.values()].filter((pact) => pact !== undefined)];
  throwAll(
    terms.credentials.flatMap(({ credential }, index) => {
      const cycle = cycleIn(delegationsOf(pacts, credential));
      return cycle === undefined ? [] : [cycleRefused(index, cycle)];
    }),
  );
}
