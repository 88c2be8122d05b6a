import { tend } from '../../shared/engine/families/tend.ts';
import { Agents, AGENTS, ByThemselves, connected, fromVault } from '../support/family-load.ts';
import { FamilyWorld } from '../support/family-world.ts';
import { OidcServer } from '../support/oidc.ts';
import { count, type Figures } from './figures.ts';

const REFRESHES = 10;

/**
 * Agents with access tokens of one family, at a server that takes each refresh token once and ends the family where a spent
 * one comes again: under Rekey's coordinator, of which two run at once, and beside it where each agent refreshes by itself.
 */
export async function families(tell: (line: string) => void): Promise<Figures> {
  tell(`${REFRESHES} refreshes of a token family under ${AGENTS} agents`);
  const world = await FamilyWorld.start();
  try {
    const [coordinated, alone] = [await underCoordinator(world), await byThemselves(world)];
    return {
      'identities token families lost': count(coordinated.lost, 'of 1', {
        goal: { is: 'at most', bound: 0 },
      }),
      'identities calls refused': count(coordinated.refused, `of ${coordinated.calls}`, {
        goal: { is: 'at most', bound: 0 },
      }),
      'identities peer: families of agents that refresh': count(alone.lost, 'of 1 lost', {
        goal: { is: 'more than', bound: 0 },
      }),
      'identities peer: calls of agents that refresh': count(alone.refused, `refused of ${alone.calls}`, {
        goal: { is: 'more than', bound: 0 },
      }),
    };
  } finally {
    await world.stop();
  }
}

interface Counted {
  readonly lost: number;
  readonly calls: number;
  readonly refused: number;
}

async function underCoordinator(world: FamilyWorld): Promise<Counted> {
  await using oidc = await OidcServer.start();
  const { one, deps } = await connected(world, oidc, 0);
  const { id } = await one.family();
  const agents = new Agents(await fromVault(one), oidc);
  for (let refresh = 0; refresh < REFRESHES; refresh++) {
    one.now = Math.max(one.now, Date.now());
    await Promise.all([1, 2].map(async () => tend(deps, id, { forced: true })));
    await agents.make(AGENTS);
  }
  return counted(agents, oidc);
}

async function byThemselves(world: FamilyWorld): Promise<Counted> {
  await using oidc = await OidcServer.start();
  const { one } = await connected(world, oidc, 0);
  const source = await ByThemselves.of(one);
  const agents = new Agents(source, oidc);
  for (let refresh = 0; refresh < REFRESHES; refresh++) {
    source.fallDue();
    await agents.make(AGENTS);
  }
  return counted(agents, oidc);
}

async function counted(agents: Agents, { revokedByReuse }: OidcServer): Promise<Counted> {
  await agents.stop();
  return { lost: revokedByReuse.size, calls: agents.calls, refused: agents.failures.length };
}
