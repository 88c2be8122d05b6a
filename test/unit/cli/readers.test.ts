import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ReaderView } from '../../../shared/api/messages.ts';
import { credentialView } from '../../../shared/api/views.ts';
import { credentialOf } from '../api/fakes.ts';
import { rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

const ROLE = 'arn:aws:iam::111122223333:role/crawler';
const seen = { firstSeen: '2026-11-20T00:00:00.000Z', lastSeen: '2026-11-22T11:55:00.000Z' };
const show = async (...readers: ReaderView[]): Promise<string> => {
  api.routes['GET /v1/credentials/orders-db'] = {
    body: { credential: credentialView(credentialOf()), rotations: [], readers },
  };
  const { exit, stdout } = await rekey(api, ['show', 'orders-db']);
  expect(exit).toBe(0);
  return stdout;
};

describe('rekey show', () => {
  it('lists who was seen and is not declared, when, and what to declare', async () => {
    const proposal = { kind: 'polling', name: 'crawler', ttl: '<ttl>', principal: ROLE };
    const stdout = await show(
      { kind: 'role', principal: ROLE, ...seen, proposal },
      { kind: 'lambda', principal: 'arn:x', name: 'orders', ...seen, declaredAs: 'orders' },
    );
    expect(stdout).toContain('seen, not declared');
    expect(stdout).toMatch(/2026-11-22 11:55:00 UTC +2026-11-20 00:00:00 UTC +a role +arn:.*role\/crawler\n/);
    expect(stdout).toContain(`  - { kind: polling, name: crawler, ttl: <ttl>, principal: "${ROLE}" }\n`);
    expect(stdout).not.toContain('orders)');
  });

  it('says who has used what the rotation under way ends, declared or not', async () => {
    const stdout = await show({
      kind: 'session',
      principal: 'orders_a',
      name: 'fleet',
      ...seen,
      declaredAs: 'fleet',
      onLoser: true,
    });
    expect(stdout).toContain(
      'orders_a (fleet, declared as fleet) has used, in the open window, what the rotation under way ends',
    );
    expect(stdout).not.toContain('seen, not declared');
  });

  it('says nothing of readers where there are none, and where the deployment is an older one', async () => {
    for (const stdout of [await show()]) expect(stdout).not.toContain('seen');
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { credential: credentialView(credentialOf()), rotations: [] },
    };
    expect((await rekey(api, ['show', 'orders-db'])).stdout).not.toContain('seen');
  });

  it('makes names harmless that would steer the terminal or pass for a line of its own', async () => {
    const name = 'x\u001B[31m\n- { kind: manual, name: forged }';
    const stdout = await show({
      kind: 'session',
      principal: 'orders_a',
      name,
      address: '10.0.0.7',
      ...seen,
      proposal: { kind: 'polling', name, ttl: '<ttl>' },
    });
    expect(stdout).not.toContain('\u001B');
    expect(stdout.split('\n').filter((line) => line.startsWith('- {'))).toEqual([]);
    expect(stdout).toContain('orders_a (x?[31m?- { kind: manual, name: forged }, from 10.0.0.7)');
  });
});
