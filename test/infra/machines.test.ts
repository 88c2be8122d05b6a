import { describe, expect, it } from 'vitest';
import { emergency } from '../../infra/machines/emergency.ts';
import { lifecycle } from '../../infra/machines/lifecycle.ts';
import { emergencyRequest } from '../../shared/api/messages.ts';
import type { State } from '../../infra/machines/states.ts';

const callee = { timeout: { toSeconds: () => 30 } };
const ofTypes = { database: callee, 'llm-key': callee };
const rotation = lifecycle(
  {
    'begin-rotation': callee,
    'check-holders': callee,
    verify: ofTypes,
    retire: ofTypes,
    rollback: ofTypes,
    reconcile: ofTypes,
  },
  { rotateTimeoutSeconds: 3600 },
);
const incident = emergency({
  'record-emergency': callee,
  revoke: ofTypes,
  replace: ofTypes,
});

interface Machine {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, State>>;
}

/** The machine that runs for each credential of an emergency. */
const item = incident.States['Credentials']?.['ItemProcessor'] as Machine;
/** What runs for each batch of a large one. */
const batch = incident.States['Batches']?.['ItemProcessor'] as Machine;

const machines: [string, Machine][] = [
  ['lifecycle', rotation],
  ['emergency', incident],
  ['emergency, one credential', item],
  ['emergency, one batch', batch],
];

function targets(state: State): string[] {
  const branches = [...((state['Choices'] ?? []) as State[]), ...((state['Catch'] ?? []) as State[])];
  return [state['Next'], state['Default'], ...branches.map(({ Next }) => Next)].filter(
    (next) => typeof next === 'string',
  );
}

interface Retrier {
  readonly ErrorEquals: readonly string[];
  readonly IntervalSeconds: number;
  readonly MaxAttempts: number;
  readonly MaxDelaySeconds: number;
}

const NEVER: Retrier = { ErrorEquals: [], IntervalSeconds: 0, MaxAttempts: 0, MaxDelaySeconds: 0 };

function tasks(machine: Machine): [string, State][] {
  return Object.entries(machine.States).filter(([, state]) => state['Type'] === 'Task');
}

function catches(machine: Machine, name: string): State[] {
  return (machine.States[name]?.['Catch'] ?? []) as State[];
}

describe.each(machines)('%s', (_name, machine) => {
  it('leads only to states that exist, and every state can be reached', () => {
    const reached = new Set<string>();
    const waiting = [machine.StartAt];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (reached.has(name)) continue;
      expect(Object.keys(machine.States)).toContain(name);
      reached.add(name);
      waiting.push(...targets(machine.States[name] ?? {}));
    }
    expect([...reached].toSorted()).toEqual(Object.keys(machine.States).toSorted());
  });

  it('every task has a timeout and retries, and every end is an end', () => {
    for (const [, state] of tasks(machine)) {
      expect(state['TimeoutSeconds']).toBeDefined();
      expect(state['Retry']).not.toEqual([]);
    }
    for (const state of Object.values(machine.States)) {
      const ends = state['End'] === true || ['Succeed', 'Fail'].includes(String(state['Type']));
      expect(ends).toBe(targets(state).length === 0);
    }
  });
});

describe('lifecycle', () => {
  it('leaves every error of a rotation to the reconciler, by name only', () => {
    for (const [name, state] of tasks(rotation)) {
      if (['Reconcile', 'Holders', 'Evidence'].includes(name)) continue;
      const last = (state['Catch'] as State[]).at(-1);
      expect(last).toEqual({
        ErrorEquals: ['States.ALL'],
        Next: 'Reconcile',
        Output: { cause: '{% $states.errorOutput.Error %}' },
      });
    }
  });

  it('hard decision 5: a window waits for a callback as long as the ledger says, then looks', () => {
    expect(rotation.States['Window']).toMatchObject({
      Resource: 'arn:${partition}:states:::lambda:invoke.waitForTaskToken',
      TimeoutSeconds: '{% $max([1, $ceil($states.input.waitSeconds)]) %}',
    });
    expect(catches(rotation, 'Window')[0]).toMatchObject({
      ErrorEquals: ['States.Timeout'],
      Next: 'Evidence',
    });
  });

  it('T2: a deferred rotation waits for a callback as long as the ledger says, then asks again', () => {
    const choices = rotation.States['Outcome']?.['Choices'] as State[];
    const deferred = choices.find(({ Condition }) => String(Condition).includes("'deferred'"));
    const state = rotation.States[String(deferred?.['Next'])];
    expect(state).toMatchObject({
      Resource: 'arn:${partition}:states:::lambda:invoke.waitForTaskToken',
      TimeoutSeconds: '{% $max([1, $ceil($states.input.waitSeconds)]) %}',
    });
    expect(catches(rotation, 'Deferred')[0]).toMatchObject({
      ErrorEquals: ['States.Timeout'],
      Next: 'Rotate',
    });
    // Hard decision 6: an execution by another definition says nothing of the kind, and nothing is deferred in it.
    expect(rotation.States['Rotate']).toMatchObject({ Arguments: { Payload: { defers: true } } });
  });

  it('a rotation that could not be started waits before it is tried again', () => {
    const choices = rotation.States['Outcome']?.['Choices'] as State[];
    const retry = choices.find(({ Condition }) => String(Condition).includes("'rotate'"));
    expect(rotation.States[String(retry?.['Next'])]).toEqual({
      Type: 'Wait',
      Seconds: '{% $max([0, $ceil($states.input.waitSeconds)]) %}',
      Next: 'Rotate',
    });
  });

  it('looks at the holders when a window has opened and before each decision, and goes on without what it can’t see', () => {
    const holders = rotation.States['Holders'];
    expect(holders).toMatchObject({ Next: 'Window', Output: '{% $states.input %}' });
    expect(catches(rotation, 'Holders')).toEqual([
      { ErrorEquals: ['States.ALL'], Next: 'Window', Output: '{% $states.input %}' },
    ]);
    expect(rotation.States['Evidence']?.['Next']).toBe('Verify');
    expect(catches(rotation, 'Evidence')).toEqual([
      { ErrorEquals: ['States.ALL'], Next: 'Verify', Output: {} },
    ]);
    // Nothing but these two leads to the window for the first time, or to a decision.
    const from = (name: string): string[] =>
      Object.entries(rotation.States).flatMap(([state, each]) =>
        targets(each).includes(name) ? [state] : [],
      );
    expect(from('Verify')).toEqual(['Evidence']);
    expect(from('Window')).toEqual(['Holders', 'Decision']);
  });

  it('the timeout of a call is longer than the function may run', () => {
    expect(rotation.States['Retire']?.['TimeoutSeconds']).toBe(35);
  });
});

describe('emergency', () => {
  it('I2: starts with the revocation itself', () => {
    expect(incident.StartAt).toBe('Size');
    expect(targets(incident.States['Size'] ?? {})).toEqual(['Credentials', 'Batches']);
    expect(item.States[item.StartAt]).toEqual({
      Type: 'Choice',
      Choices: [{ Condition: '{% $exists($states.input.type) %}', Next: 'Revoke' }],
      Default: 'FindType',
    });
    expect(JSON.stringify(item.States['Revoke'])).toContain('${revokeDatabase}');
  });

  it('a large one is the same for each of its credentials, in executions of their own', () => {
    expect(batch.StartAt).toBe('Batch');
    expect(batch.States['Batch']?.['ItemProcessor']).toEqual(
      incident.States['Credentials']?.['ItemProcessor'],
    );
    const { ItemSelector, MaxConcurrency, Items } = incident.States['Batches'] ?? {};
    const known = ['credentials', 'replace', 'emergencyId', 'incidentId', 'reason', 'actor', 'startedAt'];
    expect(Object.keys(ItemSelector as object).toSorted()).toEqual(known.toSorted());
    // Whatever one request may name is asked for at once: no revocation waits for another's replacement.
    const size = Number(/, (\d+)\)/.exec(String(Items))?.[1]);
    expect(size).toBe(incident.States['Credentials']?.['MaxConcurrency']);
    const most = Array.from({ length: 1000 }, (_, at) => `c${at}`);
    const asked = { incident: 'INC-1', reason: 'leaked' };
    expect(emergencyRequest.safeParse({ credentials: most, ...asked }).success).toBe(true);
    expect(emergencyRequest.safeParse({ credentials: [...most, 'more'], ...asked }).success).toBe(false);
    expect(Number(MaxConcurrency) * size).toBeGreaterThanOrEqual(most.length);
  });

  it('I2: revoke, record, halt, generate, validate, vault, resume, notify', () => {
    const order: string[] = [];
    let name: string | undefined = item.StartAt;
    while (name !== undefined && item.States[name]?.['Type'] !== 'Pass') {
      const state: State = item.States[name] ?? {};
      if (state['Type'] === 'Task') order.push(name);
      name = targets(state)[0] ?? undefined;
      if (state['Type'] === 'Choice') name = String((state['Choices'] as State[])[0]?.['Next']);
    }
    expect(order).toEqual(['Revoke', 'Record', 'Halt', 'Generate', 'Validate', 'Vault', 'Resume']);
    expect(incident.States['Credentials']?.['Next']).toBe('Notify');
  });

  it('no error of one credential ends the revocation of the others', () => {
    for (const [, state] of tasks(item)) {
      expect((state['Catch'] as State[]).at(-1)?.['ErrorEquals']).toEqual(['States.ALL']);
    }
    expect(Object.values(item.States).filter(({ Type }) => Type === 'Fail')).toEqual([]);
  });

  it('tries a revocation again at once, whatever the error', () => {
    expect(item.States['Revoke']?.['Retry']).toEqual([
      { ErrorEquals: ['ERR_AWAITING_OPERATOR'], MaxAttempts: 0 },
      expect.objectContaining({ ErrorEquals: ['Lambda.TooManyRequestsException'] }),
      expect.objectContaining({ ErrorEquals: ['States.ALL'], IntervalSeconds: 1, MaxAttempts: 5 }),
    ]);
  });

  it('hard decision 9: what only a person can revoke halts the agents first, then the upstream is asked, for a bounded time', () => {
    expect(catches(item, 'Revoke')[0]).toMatchObject({
      ErrorEquals: ['ERR_AWAITING_OPERATOR'],
      Next: 'AwaitOperator',
    });
    // Telling fails or not: it is asked, and nothing is recorded or replaced before it is dead.
    expect(targets(item.States['AwaitOperator'] ?? {})).toEqual(['EndedByHand', 'EndedByHand']);
    expect(targets(item.States['EndedByHand'] ?? {})).toEqual(['Record', 'RevocationFailed']);
    const retriers = (item.States['EndedByHand']?.['Retry'] ?? []) as Record<string, number>[];
    const { IntervalSeconds = 0, MaxAttempts = 0, MaxDelaySeconds = 0 } = retriers[0] ?? {};
    const waits = Array.from({ length: MaxAttempts }, (_, at) =>
      Math.min(MaxDelaySeconds, IntervalSeconds * 2 ** at),
    );
    const total = waits.reduce((sum, each) => sum + each, 0);
    expect([total > 2 * 3600, total < 4 * 3600]).toEqual([true, true]);
  });

  it('stays within the 25,000 events of an execution, however long everything is refused', () => {
    // An attempt is three events, to enter and leave a state two.
    const worst = (name: string): number => {
      const state = item.States[name] ?? {};
      const retries = (state['Retry'] ?? []) as Record<string, number>[];
      const attempts = 1 + retries.reduce((sum, { MaxAttempts = 0 }) => sum + MaxAttempts, 0);
      return 2 + (state['Type'] === 'Task' ? 3 * attempts : 0) + Math.max(0, ...targets(state).map(worst));
    };
    const ofAll = Number(incident.States['Credentials']?.['MaxConcurrency']) * (worst(item.StartAt) + 4);
    expect(ofAll).toBeGreaterThan(10_000);
    expect(ofAll).toBeLessThan(25_000);
  });

  it('whose type nobody could tell is asked for, told of where that takes long, and revoked by the function of its type', () => {
    const type = '{% $states.result.Payload.type %}';
    for (const name of ['FindType', 'FindTypeLate'])
      expect(item.States[name], name).toMatchObject({ Next: 'Revoke', Output: { type } });
    expect(catches(item, 'FindType').map(({ Next }) => Next)).toEqual([
      'Unmanaged',
      'TypeDelayed',
      'RevocationFailed',
    ]);
    expect(targets(item.States['TypeDelayed'] ?? {})).toEqual(['FindTypeLate', 'Unmanaged', 'FindTypeLate']);
  });

  it.each(['FindTypeLate', 'Halt', 'RecordLate', 'Spool', 'StillAlive', 'RevocationFailed', 'Resume'])(
    '%s outlasts an hour of throttling',
    (name) => {
      const retriers = (item.States[name]?.['Retry'] ?? []) as Retrier[];
      for (const error of ['Lambda.TooManyRequestsException', 'ERR_UNAVAILABLE', 'Sandbox.Timedout']) {
        const retrier = retriers.find(({ ErrorEquals }) => ErrorEquals.includes(error));
        expect(retrier).toMatchObject({ JitterStrategy: 'FULL' });
        const { IntervalSeconds, MaxAttempts, MaxDelaySeconds } = retrier ?? NEVER;
        const bounds = Array.from({ length: MaxAttempts }, (_, at) =>
          Math.min(MaxDelaySeconds, IntervalSeconds * 2 ** at),
        );
        // With full jitter a wait is anything up to its bound: three deviations below the mean is one of a thousand.
        const mean = bounds.reduce((sum, bound) => sum + bound / 2, 0);
        const deviation = Math.sqrt(bounds.reduce((sum, bound) => sum + bound ** 2 / 12, 0));
        expect(mean - 3 * deviation).toBeGreaterThan(3600);
      }
    },
  );

  it('what outlasts holds up nothing that is urgent: the agents are halted before a ledger is waited for', () => {
    expect(targets(item.States['Record'] ?? {})).toEqual(['Halt', 'Superseded', 'Escaped', 'HaltUnrecorded']);
    const retriers = (item.States['Record']?.['Retry'] ?? []) as Retrier[];
    const bounds = retriers.flatMap(({ MaxAttempts, MaxDelaySeconds }) => MaxAttempts * MaxDelaySeconds);
    // Where Lambda has no room, a halt has none either.
    expect(retriers.map(({ ErrorEquals }) => ErrorEquals.includes('Lambda.ServiceException'))).toEqual([
      false,
      true,
    ]);
    expect(bounds[0]).toBeLessThanOrEqual(60);
    expect(bounds[1]).toBeLessThan(5);
    expect(item.States['HaltUnrecorded']?.['Next']).toBe('RecordLate');
    expect(catches(item, 'RecordLate').map(({ Next }) => Next)).toEqual([
      'Superseded',
      'EscapedLate',
      'Spool',
    ]);
    // An upstream that is down: told, and tried on.
    expect(catches(item, 'Revoke').map(({ Next }) => Next)).toEqual([
      'AwaitOperator',
      'Delayed',
      'RevocationFailed',
    ]);
    expect(targets(item.States['Delayed'] ?? {})).toEqual(['StillAlive', 'Unmanaged', 'StillAlive']);
  });

  it('a team that can’t be told is paged by the failure, with all that is known', () => {
    expect(catches(incident, 'Notify')).toEqual([
      {
        ErrorEquals: ['States.ALL'],
        Next: 'Incomplete',
        Output: {
          incidentId: '{% $states.context.Execution.Input.incidentId %}',
          results: '{% $states.input %}',
        },
      },
    ]);
  });

  it('every state knows the execution that was asked for, and a later emergency ends this one quietly', () => {
    for (const [name, state] of tasks(item)) {
      const { Payload } = state['Arguments'] as { Payload: Record<string, unknown> };
      expect(Payload['emergencyId'], name).toMatch(
        /Input\.emergencyId : \$states\.context\.Execution\.Name\) %\}$/,
      );
    }
    for (const name of ['Record', 'Halt', 'HaltUnrecorded', 'Generate', 'Validate', 'Vault', 'Resume']) {
      expect(catches(item, name)[0], name).toMatchObject({
        ErrorEquals: ['ERR_PREEMPTED'],
        Next: 'Superseded',
      });
    }
    // What could not be revoked is never taken for superseded.
    expect(catches(item, 'RevocationFailed').map(({ Next }) => Next)).toEqual(['Unmanaged', 'Ended']);
  });

  it('what was let go of ends as not revoked, with what a person does', () => {
    expect(catches(item, 'RevocationFailed')[0]?.['ErrorEquals']).toEqual(['ERR_NOT_FOUND']);
    expect(item.States['Unmanaged']).toMatchObject({
      Output: { status: 'revocation-failed', byHand: '{% $states.result.Payload.byHand %}' },
      Next: 'Ended',
    });
  });

  it('a failed validation leaves the agents halted', () => {
    expect(catches(item, 'Validate').at(-1)?.['Next']).toBe('ReplacementFailed');
    expect(item.States['ReplacementFailed']?.['Next']).toBe('Halted');
  });
});
