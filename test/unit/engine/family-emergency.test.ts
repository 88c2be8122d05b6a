import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { FamilyDeps } from '../../../shared/engine/families/deps.ts';
import { connectFamily } from '../../../shared/engine/families/connect.ts';
import { revokeFamily } from '../../../shared/engine/families/revoke.ts';
import { refreshDue } from '../../../shared/engine/families/sweep.ts';
import type { Stage, Vault } from '../../../shared/ports/vault.ts';
import { FakeTokenServer } from '../../fakes/token-server.ts';
import { freshFamily, MemoryFamilies } from '../../support/families.ts';

const OPERATOR = { kind: 'operator', actor: 'arn:operator', reason: 'seen in a log' } as const;
const HALF_LIFE_MS = 1_800_000;

/** Secrets by name and version; labels move, and nothing is lost that has none. */
function memoryVault(): Vault {
  const texts = new Map<string, string>();
  const labels = new Map<string, string>();
  const label = (secret: string, stage: Stage, version: string): void => {
    const before = labels.get(`${secret} ${stage}`);
    if (stage === 'AWSCURRENT' && before !== undefined) labels.set(`${secret} AWSPREVIOUS`, before);
    labels.set(`${secret} ${stage}`, version);
  };
  return {
    put: async (secret: string, token: string, text: Redacted<string>, stage: Stage) => {
      texts.set(`${secret} ${token}`, text.reveal());
      label(secret, stage, token);
      return Promise.resolve('stored');
    },
    read: async (secret: string, { versionId = '', stage = 'AWSCURRENT' }) => {
      const text = texts.get(`${secret} ${versionId || (labels.get(`${secret} ${stage}`) ?? '')}`);
      return Promise.resolve(text === undefined ? undefined : new Redacted(text));
    },
    describe: async () => Promise.resolve(undefined),
    promote: async (secret: string, { to }: { to: string }) =>
      Promise.resolve(label(secret, 'AWSCURRENT', to)),
  } as unknown as Vault;
}

describe('an emergency of a token family', () => {
  async function begin() {
    const world = { now: Date.parse('2026-11-26T10:00:00.000Z') };
    const clock = (): number => world.now;
    const server = new FakeTokenServer(clock);
    const families = new MemoryFamilies(clock);
    const vault = memoryVault();
    const deps: FamilyDeps = {
      families,
      vault,
      server,
      events: { publish: async () => Promise.resolve() },
      readClientSecret: async () =>
        Promise.resolve(new Redacted(JSON.stringify({ client_secret: server.clientSecret }))),
      clock,
      newId: randomUUID,
      pause: async () => Promise.resolve(),
    };
    const family = freshFamily({}, world.now);
    const { name, secretName } = family;
    await families.create(family, {
      action: 'registered',
      time: family.registeredAt,
      trigger: OPERATOR,
      correlationId: family.id,
      holders: [],
    });
    const connect = async () => connectFamily(deps, { name, consent: server.code(), trigger: OPERATOR });
    const revoke = async () => revokeFamily(deps, { name, incidentId: 'INC-1', trigger: OPERATOR });
    return { world, server, vault, deps, families, secretName, connect, revoke };
  }

  it('has nothing to do where the family never had tokens: no record, no incident, nobody is asked', async () => {
    const { server, families, revoke } = await begin();
    const family = await revoke();
    expect([family.incident, family.seq, server.revoked]).toEqual([undefined, 1, []]);
    expect(families.chains.get(family.id)).toHaveLength(1);
  });

  it('revokes each access token that still lives: that of before the last refresh as well', async () => {
    const { world, server, vault, deps, secretName, connect, revoke } = await begin();
    const token = async (): Promise<string> => {
      const text = await vault.read(secretName, { stage: 'AWSCURRENT' });
      return (JSON.parse(text?.reveal() ?? '{}') as { access_token: string }).access_token;
    };
    const ended = async (): Promise<string> => {
      const before = await token();
      world.now += HALF_LIFE_MS;
      await refreshDue(deps, world.now + 50_000);
      return before;
    };
    await connect();
    const [first, second] = [await ended(), await ended()];
    const third = await token();
    expect(new Set([first, second, third]).size).toBe(3);
    await revoke();
    // The first one has ended by itself.
    expect(server.revoked).toEqual([expect.any(String), third, second]);
    expect(server.revoked).not.toContain(first);
  });

  it('revokes what a consent gave that another one has replaced', async () => {
    const { world, server, deps, connect, revoke } = await begin();
    await connect();
    await connect();
    world.now += HALF_LIFE_MS;
    await refreshDue(deps, world.now + 50_000);
    await revoke();
    expect(server.families.map(({ dead }) => dead)).toEqual([true, true]);
  });
});
