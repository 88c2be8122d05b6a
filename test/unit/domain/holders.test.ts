import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import { holdersOf, parseEntry } from '../../../shared/domain/declaration.ts';
import {
  evidenceOf,
  functionSeen,
  LAMBDA_MAX_SECONDS,
  notSeen,
  redeployment,
  serviceSeen,
  whyNotMoved,
  withEvidence,
  type EcsService,
  type HolderEvidence,
} from '../../../shared/domain/holder-evidence.ts';
import { needsLook, requiredWindowSeconds, type Holder } from '../../../shared/domain/holders.ts';
import { agentsOf } from '../../../shared/domain/policy.ts';
import { assertVerifiable } from '../../../shared/domain/possible.ts';

const OPENS = '2026-01-01T00:00:00.000Z';
const START = Date.parse(OPENS);
const at = (seconds: number): string => toInstant(START + seconds * 1000);

const SERVICE: Holder = { kind: 'ecs-restart', name: 'web', cluster: 'main', service: 'web' };
const FUNCTION: Holder = { kind: 'lambda', name: 'fn', function: 'orders:live' };
const CHECKING: Holder = { ...FUNCTION, ttlSeconds: 300 };
const BY_HAND: Holder = { kind: 'manual', name: 'report' };
const POLLING: Holder = { kind: 'polling', name: 'fleet', ttlSeconds: 900 };

const seconds = fc.integer({ min: -5000, max: 5000 });
const services = fc.record({
  tasks: fc.array(seconds.map(at), { maxLength: 5 }),
  deployments: fc.array(
    fc.record({
      createdAt: seconds.map(at),
      primary: fc.boolean(),
      state: fc.constantFrom('COMPLETED', 'IN_PROGRESS', 'FAILED'),
    }),
    { maxLength: 3 },
  ),
});

const lookAt = (holder: string, now: number) => ({ holder, opensAt: OPENS, now: START + now * 1000 });
const ecsEvidence = (service: EcsService) => serviceSeen(lookAt('web', 9), service, undefined);

describe('the proof of a holder', () => {
  it('of kind ecs-restart: no task of before the opening is left, and the newest deployment is complete', () => {
    fc.assert(
      fc.property(services, fc.integer({ min: 0, max: 1e6 }), (service, now) => {
        const why = whyNotMoved(SERVICE, OPENS, [ecsEvidence(service)], START + now * 1000);
        const older = service.tasks.some((task) => task < OPENS);
        const primary = service.deployments.find((deployment) => deployment.primary);
        const complete = primary === undefined || primary.state === 'COMPLETED';
        expect(why === undefined).toBe(!older && complete);
      }),
    );
  });

  it('of kind lambda without a ttl: seen newer than the window, and every earlier invocation is over', () => {
    fc.assert(
      fc.property(seconds, fc.integer({ min: 0, max: 5000 }), (modified, later) => {
        const seenAt = START + 60_000;
        const entry = functionSeen(lookAt('fn', 60), { modifiedAt: at(modified) }, undefined);
        const why = whyNotMoved(FUNCTION, OPENS, [entry], seenAt + later * 1000);
        expect(why === undefined).toBe(modified > 1 && later >= LAMBDA_MAX_SECONDS);
      }),
    );
  });

  it('of kind lambda that checks at invocation: the ttl and the longest invocation have passed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3000 }), (now) => {
        const why = whyNotMoved(CHECKING, OPENS, undefined, START + now * 1000);
        expect(why === undefined).toBe(now >= 300 + LAMBDA_MAX_SECONDS);
      }),
    );
  });

  it('of kind polling: its ttl has passed', () => {
    expect(whyNotMoved(POLLING, OPENS, undefined, START + 899_999)).toContain('fleet');
    expect(whyNotMoved(POLLING, OPENS, undefined, START + 900_000)).toBeUndefined();
  });

  it('of kind manual: somebody has confirmed it; time alone never does', () => {
    const confirmed: HolderEvidence = {
      holder: 'report',
      kind: 'manual',
      opensAt: OPENS,
      observedAt: at(5),
      actor: 'arn:aws:iam::111122223333:user/a',
    };
    expect(whyNotMoved(BY_HAND, OPENS, [], START + 1e12)).toContain('rekey confirm');
    expect(whyNotMoved(BY_HAND, OPENS, [confirmed], START)).toBeUndefined();
  });

  it('of a kind that only a newer version knows is never proven', () => {
    // A kind that only a newer version has, which the types of this one can't say.
    const newer = { kind: 'sidecar', name: 'sdk', ttlSeconds: 1 } as unknown as Holder;
    expect(whyNotMoved(newer, OPENS, [], START + 1e12)).toContain("doesn't know");
  });

  it('is never taken from another window, another holder or another kind', () => {
    const good = ecsEvidence({ tasks: [at(1)], deployments: [] });
    expect(whyNotMoved(SERVICE, OPENS, [good], START)).toBeUndefined();
    for (const wrong of [
      { ...good, opensAt: at(1) },
      { ...good, holder: 'other' },
      { holder: 'web', kind: 'manual' as const, opensAt: OPENS, observedAt: at(2), actor: 'somebody' },
    ]) {
      expect(whyNotMoved(SERVICE, OPENS, [wrong], START), JSON.stringify(wrong)).toContain('main/web');
    }
  });

  it('is missing, with the reason, where the look failed; what was seen before still counts', () => {
    const failed = notSeen(lookAt('web', 2), 'ecs-restart', undefined, 'access is denied');
    expect(whyNotMoved(SERVICE, OPENS, [failed], START)).toContain('access is denied');
    const known = ecsEvidence({ tasks: [at(1)], deployments: [] });
    const after = notSeen(lookAt('web', 30), 'ecs-restart', known, 'access is denied');
    expect(whyNotMoved(SERVICE, OPENS, [after], START)).toBeUndefined();
    expect(after).toMatchObject({ observedAt: known.observedAt, trouble: 'access is denied' });
  });

  it('of a function counts from the first look that found it newer', () => {
    const first = functionSeen(lookAt('fn', 200), { modifiedAt: at(100) }, undefined);
    expect(first.refreshedSeenAt).toBe(at(200));
    expect(functionSeen(lookAt('fn', 300), { modifiedAt: at(250) }, first).refreshedSeenAt).toBe(at(200));
    expect(functionSeen(lookAt('fn', 300), {}, undefined).trouble).toContain('under way');
    const unclear = functionSeen(lookAt('fn', 300), { unclear: 'two versions', modifiedAt: at(100) }, first);
    expect(unclear).toMatchObject({ trouble: 'two versions' });
    expect(unclear.refreshedSeenAt).toBeUndefined();
  });
});

describe('a redeployment', () => {
  it('is due only for a service that runs older tasks and has no deployment since the opening', () => {
    fc.assert(
      fc.property(services, (service) => {
        const since = service.deployments.some(({ createdAt }) => createdAt >= OPENS);
        const older = service.tasks.some((task) => task < OPENS);
        expect(redeployment(ecsEvidence(service), START)).toBe(older && !since ? 'due' : 'no');
      }),
    );
  });

  it('that was asked for a moment ago is in doubt, and one that was ever seen is never asked for again', () => {
    const old: EcsService = { tasks: [at(-5)], deployments: [] };
    const asked = { ...ecsEvidence(old), restartIntendedAt: at(10) };
    expect(redeployment(serviceSeen(lookAt('web', 15), old, asked), START + 15_000)).toBe('in doubt');
    expect(redeployment(serviceSeen(lookAt('web', 31), old, asked), START + 31_000)).toBe('due');
    const begun = { ...old, deployments: [{ createdAt: at(11), primary: true, state: 'IN_PROGRESS' }] };
    const seen = serviceSeen(lookAt('web', 15), begun, asked);
    // ECS rolls back what fails: the deployment is gone, and the old tasks stay.
    expect(redeployment(serviceSeen(lookAt('web', 900), old, seen), START + 900_000)).toBe('no');
  });
});

describe('evidence of holders', () => {
  it('keeps one entry per holder and drops that of other windows', () => {
    const entry = ecsEvidence({ tasks: [], deployments: [] });
    const other: HolderEvidence = { ...entry, holder: 'other' };
    const both = withEvidence(withEvidence(undefined, [entry], OPENS), [other], OPENS);
    const newer = { ...entry, observedAt: at(10) };
    expect(withEvidence(both, [newer], OPENS)).toEqual([other, newer]);
    const later = { ...entry, opensAt: at(50) };
    expect(withEvidence(both, [later], at(50))).toEqual([later]);
    expect(evidenceOf(both, { kind: 'ecs-restart', name: 'web' }, OPENS)).toBe(entry);
  });
});

describe('holders of a declaration', () => {
  const declared = (holder: object) => ({
    name: 'orders',
    type: 'database',
    provider: 'postgresql',
    secret: 'agents/orders',
    admin: 'admin',
    target: {},
    holders: [holder],
  });

  it('have the kinds polling, ecs-restart, lambda and manual', () => {
    const principal = 'arn:aws:iam::111122223333:role/web';
    const kinds: [object, Holder][] = [
      [{ kind: 'polling', name: 'fleet', ttl: '15m' }, POLLING],
      [
        { kind: 'ecs-restart', name: 'web', cluster: 'main', service: 'web', agents: 4, principal },
        { ...SERVICE, agents: 4, principal },
      ],
      [{ kind: 'lambda', name: 'fn', function: 'orders:live' }, FUNCTION],
      [{ kind: 'lambda', name: 'fn', function: 'orders:live', ttl: '5m' }, CHECKING],
      [{ kind: 'manual', name: 'report' }, BY_HAND],
    ];
    for (const [given, holder] of kinds) expect(holdersOf(parseEntry(declared(given)))).toEqual([holder]);
  });

  it.each([
    [{ kind: 'carrier-pigeon', name: 'x' }, 'holders[0].kind', 'ecs-restart'],
    [{ kind: 'ecs-restart', name: 'web', cluster: 'main' }, 'holders[0].service', ''],
    [
      {
        kind: 'ecs-restart',
        name: 'web',
        cluster: 'main',
        service: 'arn:aws:ecs:eu-west-1:111122223333:service/main/web',
      },
      'holders[0].service',
      'not the ARN',
    ],
    // A published version never takes another value.
    [{ kind: 'lambda', name: 'fn', function: 'orders:7' }, 'holders[0].function', 'alias'],
    [{ kind: 'manual', name: 'report', ttl: '5m' }, 'holders[0].ttl', 'unrecognized'],
    [{ kind: 'manual', name: 'report', agents: 0 }, 'holders[0].agents', '1'],
    [{ kind: 'manual', name: 'report', principal: 'web' }, 'holders[0].principal', 'ARN'],
  ])('are refused where %j is wrong, with the field', (holder, field, word) => {
    let error: unknown;
    try {
      parseEntry(declared(holder));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'ERR_DECLARATION', field });
    expect(String(error).toLowerCase()).toContain(word.toLowerCase());
  });

  it('need a window of twice the longest ttl, whatever the kind (Z2)', () => {
    expect(requiredWindowSeconds([SERVICE, BY_HAND, FUNCTION])).toBe(0);
    expect(requiredWindowSeconds([SERVICE, CHECKING])).toBe(600);
    expect(requiredWindowSeconds([POLLING, CHECKING])).toBe(1800);
  });

  it('are looked at elsewhere only where time alone proves nothing', () => {
    expect([POLLING, SERVICE, FUNCTION, CHECKING, BY_HAND].filter(needsLook)).toEqual([SERVICE, FUNCTION]);
  });
});

describe('a holder that only verifies', () => {
  const verifier: Holder = {
    kind: 'client',
    name: 'orders',
    principal: 'arn:aws:iam::111122223333:role/orders',
    verifies: true,
  };

  it('is declared, shares no credential, and is refused where nothing is published of it', () => {
    const holders = [verifier, { kind: 'polling' as const, name: 'shop', ttl: '5m' }];
    expect(holdersOf({ holders })).toContainEqual(verifier);
    expect(agentsOf(holdersOf({ holders }))).toBe(1);
    expect(() => assertVerifiable([verifier], { type: 'signing-key', provider: 'jwks' })).not.toThrow();
    expect(() => assertVerifiable([verifier], { type: 'agent-token', provider: 'opaque' })).not.toThrow();
    expect(() =>
      assertVerifiable([verifier], { type: 'certificate-authority', provider: 'x509' }),
    ).not.toThrow();
    expect(() => assertVerifiable([verifier], { type: 'database', provider: 'postgresql' })).toThrow(
      expect.objectContaining({ code: 'ERR_DECLARATION', field: 'holders[0].verifies' }),
    );
  });
});
