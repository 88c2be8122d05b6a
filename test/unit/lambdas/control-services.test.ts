import { afterEach, describe, expect, it, vi } from 'vitest';
import { createServices } from '../../../lambdas/control-api/services.ts';
import type { AwsCalls } from '../../../shared/adapters/aws-client.ts';
import { heldItem } from '../../../shared/adapters/ledger-items.ts';
import { ENV } from '../../../shared/names.ts';
import { HELD } from '../api/fakes.ts';

const MACHINE = 'arn:aws:states:eu-central-1:111122223333:stateMachine:suspension';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the API of operators', () => {
  it('has what was suspended restored by the machine for that, once it was denied', async () => {
    const environment = { [ENV.tenant]: 'default', [ENV.table]: 'ledger', [ENV.suspension]: MACHINE };
    const others = [
      ENV.lifecycle,
      ENV.emergency,
      ENV.registrars,
      ENV.verifiers,
      ENV.checkHolders,
      ENV.snapshots,
    ];
    for (const name of others) vi.stubEnv(name, 'database=arn:other');
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    vi.stubEnv(ENV.signalPolicy, '{}');
    const started: unknown[] = [];
    const handle = { id: 'user', generation: 1 };
    const held = {
      ...HELD,
      credentials: HELD.credentials.map((each) => ({ ...each, handle })),
      suspends: true as const,
      status: 'denied' as const,
      denial: { actor: 'alice', at: HELD.heldAt, reason: 'a test' },
    };
    const aws = {
      json: (_service: string, operation: string, input: { stateMachineArn?: string }): Promise<unknown> => {
        if (operation === 'StartExecution') started.push(input.stateMachineArn);
        return Promise.resolve(operation === 'GetItem' ? { Item: heldItem('default', held) } : {});
      },
    };
    // The class has private fields, which a stand-in can't have; what is asked for here uses `json` alone.
    const services = createServices(aws as unknown as AwsCalls);
    await services.voteOnSignal({ id: HELD.id, verdict: 'deny', actor: 'alice', reason: 'again' });
    expect(started).toEqual([MACHINE]);
  });
});
