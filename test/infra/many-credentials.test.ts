import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { emergency } from '../../infra/machines/emergency.ts';
import { Machines } from '../support/machines.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const callee = { timeout: { toSeconds: () => 30 } };
const machine = emergency({
  'record-emergency': callee,
  revoke: { database: callee, 'llm-key': callee },
  replace: { database: callee, 'llm-key': callee },
});

interface Payload {
  readonly credentialId: string;
  readonly emergencyId: string;
  readonly action?: string;
  readonly results?: readonly { credentialId: string; status: string }[];
}

/** Runs one emergency of `count` credentials; what `refuses` is never revoked. */
async function run(
  count: number,
  refuses: (id: string) => boolean = () => false,
  isCrowded: (id: string) => boolean = () => false,
) {
  const time = new VirtualTime();
  const calls: { name: string; payload: Payload }[] = [];
  const machines = new Machines(time, async (name, payload) => {
    const call = { name, payload: payload as Payload };
    calls.push(call);
    if (name.startsWith('revoke') && isCrowded(call.payload.credentialId))
      throw Object.assign(new Error('Rate exceeded'), { name: 'Lambda.TooManyRequestsException' });
    if (name.startsWith('revoke') && refuses(call.payload.credentialId)) throw new Error('refused');
    return {};
  });
  const credentials = Array.from({ length: count }, (_, at) => ({
    credentialId: `c${at}`,
    type: at % 2 === 0 ? 'database' : 'llm-key',
  }));
  machines.start(machine, 'e-1', {
    credentials,
    incidentId: 'INC-1',
    reason: 'leaked',
    actor: 'responder',
    startedAt: '2026-01-01T00:00:00.000Z',
    replace: true,
  });
  const execution = machines.executions.get('e-1');
  while (execution?.status === 'RUNNING') {
    await setImmediate();
    if (time.still && time.next !== undefined) time.jumpTo(time.next);
  }
  return { execution, calls };
}

describe('an emergency of many credentials', () => {
  it.each([1, 40, 41, 1000])(
    'of %i: each is revoked by the function of its type before any is replaced',
    async (count) => {
      const { execution, calls } = await run(count);
      expect(execution?.status).toBe('SUCCEEDED');
      const revoked = calls.slice(0, count);
      expect(revoked.map(({ name }) => name).filter((name) => name.startsWith('revoke-'))).toHaveLength(
        count,
      );
      expect(new Set(revoked.map(({ payload }) => payload.credentialId)).size).toBe(count);
      // One emergency, whatever executions it takes.
      expect(new Set(calls.slice(0, -1).map(({ payload }) => payload.emergencyId))).toEqual(new Set(['e-1']));
      const last = calls.at(-1)?.payload;
      expect(last?.action).toBe('notify');
      expect(last?.results?.filter(({ status }) => status === 'replaced')).toHaveLength(count);
    },
  );

  it('ends every other one where one is not revoked, and fails', async () => {
    const { execution, calls } = await run(90, (id) => id === 'c77');
    expect([execution?.status, execution?.error]).toEqual(['FAILED', 'EmergencyIncomplete']);
    const results = calls.at(-1)?.payload.results ?? [];
    expect(results.filter(({ status }) => status === 'replaced')).toHaveLength(89);
    expect(results.filter(({ status }) => status !== 'replaced')).toEqual([
      { credentialId: 'c77', status: 'revocation-failed' },
    ]);
  });

  it('revokes every one where there is no room for all at once, however often each is turned away', async () => {
    const turnedAway = new Map<string, number>();
    const { execution, calls } = await run(
      90,
      () => false,
      (id) => {
        const times = (turnedAway.get(id) ?? 0) + 1;
        turnedAway.set(id, times);
        return times <= 60;
      },
    );
    expect(execution?.status).toBe('SUCCEEDED');
    const results = calls.at(-1)?.payload.results ?? [];
    expect(results.filter(({ status }) => status === 'replaced')).toHaveLength(90);
  });
});
