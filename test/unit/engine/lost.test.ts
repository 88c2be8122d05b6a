import { expect, it } from 'vitest';
import type { Credential } from '../../../shared/domain/credential.ts';
import type { EngineDeps } from '../../../shared/engine/deps.ts';
import { rotateLost } from '../../../shared/engine/lost.ts';
import { registeringHead } from '../../support/credential-head.ts';

it('looks for what is lost whatever goes wrong with one: the others are told of', async () => {
  const home = { account: '1', region: 'r', tenant: 't', now: 0 };
  const current = { handle: { id: 'a', generation: 1 }, versionId: 'v', fingerprint: 'f', issuedAt: '' };
  const of = (id: string): Credential =>
    registeringHead(home, { id, name: id, type: 'database', status: 'active', mode: 'enforce', current });
  const items = [of('broken'), of('sound')];
  const asked: string[] = [];
  const deps = {
    clock: () => 0,
    ledger: { list: async () => Promise.resolve({ items }) },
    providerFor: async () => {
      asked.push('asked');
      if (asked.length === 1) throw new TypeError('what nobody expects');
      return Promise.resolve({});
    },
  };
  const lost = await rotateLost(deps as unknown as EngineDeps, 'database');
  expect(lost).toEqual([{ credentialId: 'broken', outcome: 'ERR_INTERNAL' }]);
  expect(asked).toHaveLength(2);
});
