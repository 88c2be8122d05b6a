import { describe, expect, test } from 'vitest';
import { adminCheck, type Listed } from '../../../shared/domain/diagnose-access.ts';
import {
  heartbeatCheck,
  stackCheck,
  subscribersCheck,
  versionCheck,
} from '../../../shared/domain/diagnose-deployment.ts';
import { trailCheck, type FieldSelector, type SeenTrail } from '../../../shared/domain/diagnose-trails.ts';
import {
  secretChecks,
  type DescribedSecret,
  type SecretLook,
} from '../../../shared/domain/diagnose-secret.ts';
import {
  evidenceCheck,
  holdersCheck,
  rotationChecks,
  statusCheck,
  tallyOf,
  type Check,
  type Trouble,
} from '../../../shared/domain/diagnosis.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import type { Rotation } from '../../../shared/domain/rotation.ts';
import { credentialOf, ID, NOW, ROTATION_ID, rotationOf } from '../api/fakes.ts';

const ROTATOR = 'arn:aws:lambda:eu-central-1:111122223333:function:rotate:live';
const OWN_KEY = 'arn:aws:kms:eu-central-1:111122223333:key/own';
const EXPECTED = { stage: 'prod', rotationFunction: ROTATOR, secretsKey: OWN_KEY };
const OBSERVED: Partial<Credential> = { adoption: 'observed', mode: 'observe' };

function described(changes: Partial<DescribedSecret> = {}): DescribedSecret {
  return {
    name: 'agents/orders-db',
    versions: { [ID]: ['AWSCURRENT'] },
    tags: { 'rekey:type': 'database', 'rekey:stage': 'prod', 'rekey:credential': ID },
    kmsKey: OWN_KEY,
    rotationEnabled: true,
    rotationFunction: ROTATOR,
    rotatesEveryDays: 29,
    ...changes,
  };
}

const READ: SecretLook['current'] = { value: { fingerprint: 'sha256:1111' } };

/** What isn't ok of a secret, a line each. */
function said(
  look: Partial<SecretLook>,
  credential: Partial<Credential> = {},
  rotation?: Rotation,
): (readonly [string, string, string])[] {
  const checks = secretChecks(
    credentialOf(credential),
    rotation,
    EXPECTED,
    { described: { value: described() }, current: READ, ...look },
    NOW,
  );
  return checks
    .filter(({ state }) => state !== 'ok')
    .map(({ name, state, detail, remedy = '' }) => [name, state, `${detail} | ${remedy}`]);
}

const shape = (changes: Partial<DescribedSecret>): Partial<SecretLook> => ({
  described: { value: described(changes) },
});
const trouble = (which: Trouble): { trouble: Trouble } => ({ trouble: which });

describe('the secret of agents', () => {
  test('all is well with one that is as the ledger has it', () => {
    expect(said({})).toEqual([]);
  });

  test.each<[Trouble, string, string]>([
    ['absent', 'fail', 'there is no secret agents/orders-db'],
    ['deleted', 'fail', 'restore-secret --secret-id agents/orders-db'],
    ['denied', 'fail', 'adoptPrefixes'],
    ['throttled', 'not-checked', 'throttles'],
    ['no-answer', 'fail', 'network.endpoints'],
    ['unexpected', 'not-checked', 'the log of register-database'],
  ])('describing it comes to %s: %s', (which, state, text) => {
    expect(said({ described: trouble(which) })).toEqual([['exists', state, expect.stringContaining(text)]]);
  });

  test.each<[string, Partial<DescribedSecret>, Trouble, string]>([
    [
      'a key of its own that is denied',
      { kmsKey: 'arn:k/theirs' },
      'key-denied',
      'arn:k/theirs | add its ARN to the setting adoptKeyArns',
    ],
    ["Rekey's own key that is denied", {}, 'key-denied', 'deploy the stack rekey-prod-state again'],
    ['a disabled key', {}, 'key-unusable', `aws kms enable-key --key-id ${OWN_KEY}`],
    ['a denial in spite of its tags', {}, 'denied', 'get-resource-policy'],
  ])('%s is named', (_what, secret, which, text) => {
    expect(said({ ...shape(secret), current: trouble(which) })).toEqual([
      ['readable', 'fail', expect.stringContaining(text)],
    ]);
  });

  test('lost tags are named once, with the command that gives them back', () => {
    const look = { ...shape({ tags: { 'rekey:type': 'database' } }), current: trouble('denied') };
    expect(said(look)).toEqual([
      [
        'tags',
        'fail',
        expect.stringContaining(`--tags Key=rekey:stage,Value=prod Key=rekey:credential,Value=${ID}`),
      ],
      ['readable', 'not-checked', expect.stringContaining('by its tags only')],
    ]);
  });

  test('a version that a stranger has made current is named, with the way back', () => {
    const versions = { [ID]: ['AWSPREVIOUS'], stranger: ['AWSCURRENT'] };
    const found = said({ ...shape({ versions }), current: { value: { fingerprint: 'sha256:other' } } });
    expect(found).toEqual([
      [
        'value',
        'fail',
        expect.stringContaining(`--move-to-version-id ${ID} --remove-from-version-id stranger`),
      ],
    ]);
  });

  test('of one that was revoked in an emergency, the dead value is no fault of its own', () => {
    const { current: _revoked, ...halted } = credentialOf({ status: 'halted' });
    const look: SecretLook = { described: { value: described() }, current: READ };
    const states = secretChecks(halted, undefined, EXPECTED, look, NOW).map(({ state }) => state);
    expect(new Set(states)).toEqual(new Set(['ok']));
  });

  test('a value of another shape is named by the refusal of the provider', () => {
    const fault = { code: 'ERR_MATERIAL_MISMATCH', message: 'it is not JSON' } as const;
    expect(said({ current: { value: { fault } } })).toEqual([
      ['value', 'fail', expect.stringContaining('it is not JSON')],
    ]);
  });

  test('no text under AWSCURRENT is named', () => {
    expect(said({ current: { value: undefined } })).toEqual([
      ['readable', 'fail', expect.stringContaining(`--move-to-version-id ${ID}`)],
    ]);
  });

  test('in the middle of a rotation the new version may be current already, and pending is no leftover', () => {
    const rotation = rotationOf({ phase: 'promoting' });
    const under = { activeRotation: ROTATION_ID };
    const moved = { [ID]: ['AWSPREVIOUS'], [ROTATION_ID]: ['AWSCURRENT'] };
    const pending = { [ID]: ['AWSCURRENT'], [ROTATION_ID]: ['AWSPENDING'] };
    expect(
      said(
        { ...shape({ versions: moved }), current: { value: { fingerprint: 'sha256:2222' } } },
        under,
        rotation,
      ),
    ).toEqual([]);
    expect(said(shape({ versions: pending }), under, rotation)).toEqual([]);
    expect(said(shape({ versions: pending }))).toEqual([
      [
        'labels',
        'fail',
        expect.stringContaining(`--version-stage AWSPENDING --remove-from-version-id ${ROTATION_ID}`),
      ],
    ]);
    // Secrets Manager labels a copy while it tests a schedule.
    const justNow = { updatedAt: new Date(NOW - 1000).toISOString() };
    expect(said(shape({ versions: pending }), justNow)).toEqual([['labels', 'warn', expect.any(String)]]);
  });

  test.each<[string, Partial<DescribedSecret>]>([
    ['a rotation that a stranger has cancelled', { rotationEnabled: false }],
    ['a schedule that calls another function', { rotationFunction: `${ROTATOR}-other` }],
    ['a schedule that does not follow from the policy', { rotatesEveryDays: 90 }],
  ])('%s is named, with the command that mends it', (_what, secret) => {
    expect(said(shape(secret))).toEqual([
      [
        'schedule',
        'fail',
        expect.stringContaining(
          `--rotation-lambda-arn ${ROTATOR} --rotation-rules AutomaticallyAfterDays=29 --no-rotate-immediately`,
        ),
      ],
    ]);
  });

  test('one that is paused needs no schedule', () => {
    const paused = { since: '2026-11-20T00:00:00.000Z', actor: 'a', reason: 'freeze' };
    expect(said(shape({ rotationEnabled: false }), { paused })).toEqual([]);
  });

  test('one that is only observed is told what its take-over would meet, and none of it fails', () => {
    const foreign = { tags: {}, rotationFunction: 'arn:theirs' };
    const found = said({ ...shape(foreign), current: trouble('denied') }, OBSERVED);
    expect(found.map(([name, state]) => [name, state])).toEqual([
      ['tags', 'warn'],
      ['readable', 'warn'],
      ['schedule', 'warn'],
    ]);
    // Others may change its value.
    const changed = { [ID]: ['AWSPREVIOUS'], newer: ['AWSCURRENT'] };
    expect(
      said(
        { ...shape({ versions: changed, rotationEnabled: false }), current: { value: { fingerprint: 'x' } } },
        OBSERVED,
      ),
    ).toEqual([]);
  });
});

describe('the administrative secret', () => {
  const TAGGED: Listed = { value: { tags: { 'rekey:admin': 'database' }, kmsKey: 'arn:k/admin' } };
  const of = (read: Trouble, listed: Listed): Check => adminCheck(credentialOf(), trouble(read), listed);

  test.each<[string, Trouble, Listed, string, string]>([
    ['missing', 'denied', { value: undefined }, 'exists', 'create-secret --name admin/orders-db'],
    [
      'untagged',
      'denied',
      { value: { tags: {} } },
      'tags',
      'tag-resource --secret-id admin/orders-db --tags Key=rekey:admin,Value=database',
    ],
    ['tagged and denied', 'denied', TAGGED, 'readable', 'get-resource-policy'],
    [
      'one or the other, where the list is silent',
      'denied',
      trouble('no-answer'),
      'readable',
      'missing or untagged',
    ],
    [
      'under a key that is not granted',
      'key-denied',
      TAGGED,
      'readable',
      'arn:k/admin | add its ARN to the setting adminSecretKeyArns',
    ],
    ['under a disabled key', 'key-unusable', TAGGED, 'readable', 'enable-key --key-id arn:k/admin'],
    ['about to be deleted', 'deleted', TAGGED, 'exists', 'restore-secret'],
  ])('%s is told apart', (_what, read, listed, name, text) => {
    const { detail, remedy, ...check } = of(read, listed);
    expect(check).toEqual({ area: 'administrator', name, state: 'fail' });
    expect(`${detail} | ${remedy}`).toContain(text);
  });

  test('only what is observed does without', () => {
    const { adminSecret: _none, ...without } = credentialOf(OBSERVED);
    expect(adminCheck(without, trouble('absent'), TAGGED).state).toBe('warn');
    expect(adminCheck({ ...without, adoption: 'adopted' }, trouble('absent'), TAGGED).state).toBe('fail');
  });

  test('throttling says nothing about it', () => {
    expect(of('throttled', TAGGED).state).toBe('not-checked');
  });
});

describe('rotations', () => {
  const of = (credential: Partial<Credential>, rotation?: Rotation): string[] =>
    rotationChecks(credentialOf(credential), rotation, NOW).map(({ state }) => state);
  const plan = (changes: object): Partial<Credential> => ({ plan: { of: ID, attempts: 0, ...changes } });

  test('that go on by themselves are ok, paused or not planned', () => {
    expect(of({})).toEqual(['ok', 'ok']);
    expect(of({}, rotationOf())).toEqual(['ok', 'ok']);
    expect(of(OBSERVED)).toEqual(['ok', 'ok']);
  });

  test.each<[string, Partial<Credential>, Rotation | undefined, string[]]>([
    ['stuck', {}, rotationOf({ stuck: true }), ['fail', 'ok']],
    [
      'waiting for a person at the upstream',
      {},
      rotationOf({
        phase: 'revoking',
        awaitsOperator: { since: '2026-11-22T11:00:00.000Z', handles: [], byHand: 'delete it', looks: 1 },
      }),
      ['warn', 'ok'],
    ],
    [
      'past its cap',
      {},
      rotationOf({ window: { ...rotationOf().window!, cap: '2026-11-22T11:59:00.000Z' } }),
      ['fail', 'ok'],
    ],
    [
      'past its deadline',
      {},
      rotationOf({ window: { ...rotationOf().window!, overdue: true } }),
      ['warn', 'ok'],
    ],
    [
      'overdue',
      { current: { ...credentialOf().current!, issuedAt: '2026-01-01T00:00:00.000Z' } },
      undefined,
      ['ok', 'fail'],
    ],
    ['aborted once', plan({ attempts: 1 }), undefined, ['ok', 'warn']],
    ['handed to a person', plan({ attempts: 3, escalated: true }), undefined, ['ok', 'fail']],
    ['rolled back', plan({ rolledBack: true }), undefined, ['ok', 'warn']],
    [
      'paused',
      { paused: { since: '2026-11-20T00:00:00.000Z', actor: 'a', reason: 'freeze' } },
      undefined,
      ['ok', 'warn'],
    ],
  ])('%s', (_what, credential, rotation, states) => {
    expect(of(credential, rotation)).toEqual(states);
  });
});

describe('the rest of a credential', () => {
  test('halted agents and a registration without an end fail', () => {
    expect(statusCheck(credentialOf()).state).toBe('ok');
    expect(statusCheck(credentialOf({ status: 'halted' }))).toMatchObject({
      state: 'fail',
      remedy: expect.stringContaining('rekey show orders-db'),
    });
    expect(statusCheck(credentialOf({ status: 'registering' })).state).toBe('fail');
  });

  test('without a holder the old credential is never retired, which one should know', () => {
    expect(holdersCheck({ holders: [], name: 'x' }).state).toBe('warn');
    expect(holdersCheck(credentialOf())).toMatchObject({ state: 'ok', detail: '1 (polling)' });
  });

  test('an archive that trails is told from one that is about to catch up', () => {
    const head = credentialOf({ version: 5, seq: 4 });
    const copy = { value: { ...head, version: 4, seq: 3 } };
    expect(evidenceCheck(head, { value: head }, NOW).state).toBe('ok');
    expect(evidenceCheck(head, copy, NOW)).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining('up to record 3, the ledger up to 4'),
    });
    expect(evidenceCheck({ ...head, updatedAt: new Date(NOW - 1000).toISOString() }, copy, NOW).state).toBe(
      'ok',
    );
    expect(evidenceCheck(head, { value: undefined }, NOW).state).toBe('fail');
    expect(evidenceCheck(head, trouble('denied'), NOW)).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining('or it may not be read'),
    });
    expect(evidenceCheck(head, trouble('throttled'), NOW).state).toBe('not-checked');
  });
});

describe('the deployment', () => {
  test('a function that its schedule calls is alive by its last completed run; one of an older version tells nothing', () => {
    const ago = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();
    expect(heartbeatCheck('plan-rotations', 'PlanSchedule', ago(4), NOW).state).toBe('ok');
    expect(heartbeatCheck('plan-rotations', 'PlanSchedule', ago(16), NOW)).toMatchObject({
      state: 'fail',
      remedy: expect.stringContaining('PlanSchedule'),
    });
    expect(heartbeatCheck('plan-rotations', 'PlanSchedule', undefined, NOW).state).toBe('not-checked');
  });

  test.each([
    ['CREATE_COMPLETE', 'IN_SYNC', 'ok'],
    ['UPDATE_COMPLETE', undefined, 'ok'],
    ['UPDATE_COMPLETE', 'DRIFTED', 'warn'],
    ['UPDATE_ROLLBACK_COMPLETE', undefined, 'warn'],
    ['UPDATE_IN_PROGRESS', undefined, 'warn'],
    ['UPDATE_ROLLBACK_FAILED', undefined, 'fail'],
    ['ROLLBACK_COMPLETE', undefined, 'fail'],
  ])('a stack that is %s, drift %s: %s', (status, drift, state) => {
    expect(stackCheck('rekey-prod-api', { status, ...(drift === undefined ? {} : { drift }) }).state).toBe(
      state,
    );
    expect(stackCheck('rekey-prod-api', undefined).state).toBe('fail');
  });

  test('alarms that reach nobody', () => {
    expect(subscribersCheck({ confirmed: 1, pending: 1 }).state).toBe('ok');
    expect(subscribersCheck({ confirmed: 0, pending: 1 }).state).toBe('fail');
    expect(subscribersCheck({ confirmed: 0, pending: 0 }).state).toBe('warn');
  });

  describe('reads of secrets', () => {
    const all = [{ ReadWriteType: 'All', IncludeManagementEvents: true }];
    const trail = (over: Partial<SeenTrail> = {}): SeenTrail => ({
      name: 'main',
      logging: true,
      selectors: all,
      ...over,
    });
    const advanced = (...fields: FieldSelector[]): SeenTrail =>
      trail({
        selectors: [{ FieldSelectors: [{ Field: 'eventCategory', Equals: ['Management'] }, ...fields] }],
      });

    test.each<[string, SeenTrail, string]>([
      ['logs all management events', trail(), 'ok'],
      ['logs reads alone', trail({ selectors: [{ ReadWriteType: 'ReadOnly' }] }), 'ok'],
      ['logs writes alone', trail({ selectors: [{ ReadWriteType: 'WriteOnly' }] }), 'warn'],
      ['logs data events alone', trail({ selectors: [{ IncludeManagementEvents: false }] }), 'warn'],
      ['was stopped', trail({ logging: false }), 'warn'],
      ['says in the newer form that it logs all', advanced(), 'ok'],
      ['says so of reads', advanced({ Field: 'readOnly', Equals: ['true'] }), 'ok'],
      ['says so of writes', advanced({ Field: 'readOnly', Equals: ['false'] }), 'warn'],
      [
        'leaves out another service',
        advanced({ Field: 'eventSource', NotEquals: ['kms.amazonaws.com'] }),
        'ok',
      ],
      [
        'leaves out Secrets Manager',
        advanced({ Field: 'eventSource', NotEquals: ['secretsmanager.amazonaws.com'] }),
        'warn',
      ],
      ['leaves out reads of values', advanced({ Field: 'eventName', NotEquals: ['GetSecretValue'] }), 'warn'],
      [
        'logs data events in the newer form',
        trail({ selectors: [{ FieldSelectors: [{ Field: 'eventCategory', Equals: ['Data'] }] }] }),
        'warn',
      ],
      ['does not say whether it logs', trail({ logging: undefined }), 'not-checked'],
      ['does not say what it logs', trail({ selectors: undefined }), 'not-checked'],
      ['was stopped, whatever it logs', trail({ logging: false, selectors: undefined }), 'warn'],
    ])('where the one trail %s', (_what, seen, state) => {
      expect(trailCheck([seen])).toMatchObject({
        state,
        ...(state === 'ok' ? {} : { remedy: expect.stringMatching(/./) }),
      });
    });

    test('one trail that logs them is enough, and none is too few', () => {
      expect(trailCheck([trail({ logging: undefined }), trail({ name: 'second' })])).toMatchObject({
        state: 'ok',
        detail: expect.stringContaining('second'),
      });
      expect(trailCheck([])).toMatchObject({
        state: 'warn',
        detail: expect.stringContaining('there is no trail'),
      });
    });
  });

  test('another version of the CLI works, and one should know', () => {
    expect(versionCheck('1.0.0', '1.0.0').state).toBe('ok');
    expect(versionCheck('1.0.0', '1.1.0').state).toBe('warn');
  });

  test('what is not ok has a remedy, and is counted', () => {
    const checks = [
      subscribersCheck({ confirmed: 0, pending: 0 }),
      versionCheck('1', '1'),
      heartbeatCheck('a', 'b', undefined, NOW),
    ];
    expect(tallyOf(checks)).toEqual({ ok: 1, warn: 1, fail: 0, 'not-checked': 1 });
    expect(checks.every(({ state, remedy }) => state === 'ok' || remedy !== undefined)).toBe(true);
  });
});
