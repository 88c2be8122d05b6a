import { describe, expect, it } from 'vitest';
import type { Pact, Session } from '../../../shared/domain/agents.ts';
import type { KnownAgent } from '../../../shared/domain/client-evidence.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import { gapHasCome, inTheWay, latestStart, nextDeferredLook } from '../../../shared/domain/deferral.ts';
import { dueOf } from '../../../shared/domain/calendar.ts';
import { credentialOf } from '../api/fakes.ts';

const START = Date.parse('2026-01-01T00:00:00.000Z');
const at = (seconds: number): string => toInstant(START + seconds * 1000);

function agent(
  refresh: Pact['credentials'][number]['refresh'],
  sessions: readonly Partial<Session>[],
  sessionLimitSeconds = 3600,
): KnownAgent {
  const credentials = [
    {
      credential: 'orders-db',
      refresh,
      ttlSeconds: 60,
      staleLimitSeconds: 60,
      uses: 'unreported',
      delegates: [],
    },
  ] as const;
  return {
    name: 'checkout',
    pact: {
      agent: 'checkout',
      credentials,
      sessionLimitSeconds,
      checkpoint: false,
      version: 1,
      actor: 'arn:a',
      registeredAt: at(0),
    },
    sessions: sessions.map((session) => ({
      agent: 'checkout',
      id: 's',
      instance: 'i',
      key: { kind: 'sealed', sealed: '' },
      thumbprint: '',
      openedAt: at(0),
      seenAt: at(100),
      keptUntil: at(1e6),
      holds: [],
      ...session,
    })),
  };
}

describe('T2: who is in the way of a rotation', () => {
  it('is an agent that can’t change the value within a session, and is in one', () => {
    const now = START + 100_000;
    const found = (one: KnownAgent) => inTheWay([one], 'orders-db', now).length;
    expect(found(agent('between-sessions', [{}]))).toBe(1);
    expect(found(agent('between-sessions', [{ closedAt: at(1) }, {}]))).toBe(1);
    expect(found(agent('in-session', [{}]))).toBe(0);
    expect(found(agent('between-sessions', []))).toBe(0);
    // Opened by an instance of the release before, which registered that.
    const bears = (refresh: 'in-session' | 'between-sessions') => agent(refresh, []).pact as Pact;
    expect(found(agent('in-session', [{ bears: bears('between-sessions') }]))).toBe(1);
    expect(found(agent('in-session', [{ bears: bears('in-session') }]))).toBe(0);
    expect(found(agent('between-sessions', [{ closedAt: at(1) }]))).toBe(0);
    expect(found(agent('between-sessions', [{ seenAt: at(-200) }]))).toBe(0);
    expect(inTheWay([agent('between-sessions', [{}])], 'another-db', now)).toEqual([]);
  });
});

describe('the gap that a deferred rotation waits for', () => {
  const deferred = { since: at(50), until: at(4000), agents: ['checkout'] };
  const has = (sessions: readonly Partial<Session>[], seconds: number, rotation: object = {}): boolean =>
    gapHasCome(
      [agent('between-sessions', sessions)],
      'orders-db',
      { phase: 'announced', deferred, ...rotation },
      START + seconds * 1000,
    );

  it('is there from the end of the last session that stood against it, for two minutes', () => {
    expect(has([{ closedAt: at(60) }], 61)).toBe(true);
    expect(has([{ closedAt: at(60) }], 179)).toBe(true);
    expect(has([{ closedAt: at(60) }], 180)).toBe(false);
  });

  it('is not there while another session runs, where none has ended since, nor for a rotation that waits for nobody', () => {
    expect(has([{ closedAt: at(60) }, {}], 61)).toBe(false);
    expect(has([], 61)).toBe(false);
    expect(has([{ closedAt: at(49) }], 51)).toBe(false);
    expect(has([{ closedAt: at(60) }], 61, { deferred: undefined })).toBe(false);
    expect(has([{ closedAt: at(60) }], 61, { phase: 'window' })).toBe(false);
  });
});

describe('the latest start of a rotation that waits', () => {
  const credential = credentialOf();
  const deadline = dueOf(credential)?.deadline ?? '';
  const now = Date.parse(deadline) - 86_400_000;
  const agents = [agent('between-sessions', [{}], 3600), agent('between-sessions', [{}], 7200)];

  it('is the deadline of what is due', () => {
    expect(latestStart(credential, { kind: 'planner' }, agents, now)).toBe(deadline);
  });

  it('is the end of the longest session that the pacts allow, of what a person asks for, or the deadline if that is sooner', () => {
    expect(latestStart(credential, { kind: 'operator' }, agents, now)).toBe(toInstant(now + 7_200_000));
    const close = Date.parse(deadline) - 1000;
    expect(latestStart(credential, { kind: 'operator' }, agents, close)).toBe(deadline);
  });
});

describe('hard decision 5: a deferral doesn’t poll', () => {
  it('is looked at three times, then at its end', () => {
    const until = at(4000);
    let now = START;
    const looks: string[] = [];
    for (let wakeUps = 0; now < START + 4_000_000; wakeUps++) {
      const next = nextDeferredLook({ until, wakeUps }, now);
      looks.push(next);
      now = Date.parse(next);
    }
    expect(looks).toEqual([at(1000), at(2000), at(3000), at(4000)]);
  });

  it('never later than its end, however often sessions have closed before', () => {
    expect(nextDeferredLook({ until: at(10), wakeUps: 99 }, START)).toBe(at(10));
    expect(nextDeferredLook({ until: at(10), wakeUps: 99 }, START + 20_000)).toBe(at(10));
  });
});
