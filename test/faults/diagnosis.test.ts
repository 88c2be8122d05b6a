import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { FaultAction } from '../../local/gateway/faults.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { troubleOf } from '../../shared/adapters/trouble.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { Check } from '../../shared/domain/diagnosis.ts';
import { diagnose, type CredentialLook } from '../../shared/engine/diagnose.ts';
import { diagnoseHolders } from '../../shared/engine/diagnose-holders.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { Existing } from '../support/existing.ts';

/** Each thing that `rekey doctor` looks for, broken for real: Secrets Manager and a database stand behind. */
let world: EngineWorld;
let one: EngineCase;
beforeAll(async () => {
  world = await EngineWorld.start();
  one = await world.registered();
});
afterAll(async () => {
  await world.stop();
});

/** What the look comes to, with a change of the head where the thing that breaks is what it names. */
async function looked(of = one, change: Partial<Credential> = {}): Promise<CredentialLook> {
  const { stack } = world;
  const aws = new AwsCalls({
    region: stack.region,
    endpoint: stack.endpoint,
    credentials: stack.clientConfig.credentials,
    caller: 'register-database',
    attempts: 1,
    timeoutMs: 2000,
  });
  const vault = new SecretsManagerVault(aws);
  const head = { ...(await of.credential()), ...change };
  const deps = {
    ...of.deps,
    vault,
    ledger: Object.assign(Object.create(of.deps.ledger) as typeof of.deps.ledger, {
      credential: async () => Promise.resolve(head),
    }),
    readAdmin: async (secret: string) => (await vault.read(secret, { stage: 'AWSCURRENT' }))!,
    // Long after the registration, during which Secrets Manager labels a copy.
    clock: () => of.time.now() + 600_000,
    troubleOf,
    stepLimitMs: 8000,
  };
  return diagnose(deps, { stage: 'local', rotationFunction: of.functionArn }, head.id);
}

/** What isn't ok, shortly. */
async function said(of = one, change: Partial<Credential> = {}): Promise<(readonly string[])[]> {
  return shown((await looked(of, change)).checks);
}

const shown = (checks: readonly Check[]): (readonly string[])[] =>
  checks
    .filter(({ state }) => state !== 'ok')
    .map(({ area, name, state, detail, remedy = '' }) => [`${area} ${name}`, state, `${detail} | ${remedy}`]);

const saying = (title: string, state: string, ...texts: string[]): unknown[] => [
  title,
  state,
  expect.stringMatching(
    new RegExp(texts.map((each) => `(?=[\\s\\S]*${each.replaceAll(/[()]/g, '\\$&')})`).join('')),
  ),
];

/** Refuses calls for the rest of a test. */
function refuse(resource: string, action: FaultAction, operation = 'GetSecretValue'): void {
  onTestFinished(
    world.stack.gateway.faults.add({ match: { service: 'secretsmanager', operation, resource }, action }),
  );
}

const secretsManager = (operation: string, input: object): Promise<unknown> =>
  world.aws.json('secretsmanager', operation, input);
const described = () => one.deps.vault.describe(one.secret);

test('all is well with a credential that was registered', async () => {
  const { checks, admin } = await looked();
  expect(shown(checks)).toEqual([]);
  expect(admin).toEqual({ value: true });
  expect(checks.map(({ area, name }) => `${area} ${name}`)).toEqual([
    'secret exists',
    'secret tags',
    'secret readable',
    'secret value',
    'secret labels',
    'secret schedule',
    'target administered',
    'target login',
  ]);
});

test('nothing that a look says holds a value', async () => {
  const { password } = await one.login();
  const text = JSON.stringify(await looked());
  expect(text).not.toContain(password);
  expect(text).not.toContain(world.server.admin.password);
});

describe('the secret', () => {
  /** As it was; Secrets Manager tests the function that is given to it. */
  async function scheduled(functionArn = one.functionArn): Promise<void> {
    await world.stack.gateway.secrets.idle();
    await one.deps.vault.configureRotation(one.secret, functionArn, 29);
    await world.stack.gateway.secrets.idle();
  }

  test('its rotation cancelled by a stranger', async () => {
    await secretsManager('CancelRotateSecret', { SecretId: one.secret });
    onTestFinished(() => scheduled());
    expect(await said()).toEqual([
      saying(
        'secret schedule',
        'fail',
        'cancelled',
        `--rotation-lambda-arn ${one.functionArn}`,
        'AutomaticallyAfterDays=29',
      ),
    ]);
  });

  test('its schedule pointed at another function by a stranger', async () => {
    const other = `${one.functionArn.replace(':live', '')}-other:live`;
    world.stack.gateway.functions.set(other, async () => undefined);
    await scheduled(other);
    onTestFinished(() => scheduled());
    expect(await said()).toEqual([saying('secret schedule', 'fail', other)]);
  });

  test('AWSPENDING left on a version of no rotation', async () => {
    const token = randomUUID();
    await secretsManager('PutSecretValue', {
      SecretId: one.secret,
      ClientRequestToken: token,
      SecretString: '{}',
      VersionStages: ['AWSPENDING'],
    });
    onTestFinished(() => one.deps.vault.stripPending(one.secret, token));
    expect(await said()).toEqual([saying('secret labels', 'fail', token)]);
  });

  test('its value changed by a stranger: no text of theirs is told', async () => {
    const before = (await one.credential()).current?.versionId ?? '';
    const token = randomUUID();
    await secretsManager('PutSecretValue', {
      SecretId: one.secret,
      ClientRequestToken: token,
      SecretString: JSON.stringify({ username: 'stranger-in-the-secret', password: 'p'.repeat(40) }),
    });
    onTestFinished(() => one.deps.vault.promote(one.secret, { to: before, from: token }));
    const found = await said();
    expect(found[0]?.[0]).toBe('secret value');
    expect(JSON.stringify(found)).toContain(
      `--move-to-version-id ${before} --remove-from-version-id ${token}`,
    );
    expect(JSON.stringify(found)).not.toMatch(/p{40}/);
  });

  test('its tags taken off by a stranger', async () => {
    const { tags } = (await described())!;
    await one.deps.vault.untag(one.secret, ['rekey:type', 'rekey:stage']);
    onTestFinished(() => one.deps.vault.tag(one.secret, tags));
    expect(await said()).toEqual([
      saying('secret tags', 'fail', 'Key=rekey:type,Value=database Key=rekey:stage,Value=local'),
    ]);
  });

  test.each<[string, FaultAction, unknown[]]>([
    [
      'its key denied',
      { kind: 'refuse', code: 'AccessDeniedException', message: 'Access to KMS is not allowed' },
      saying('secret readable', 'fail', 'KMS key', 'adoptKeyArns'),
    ],
    [
      'its key disabled',
      {
        kind: 'refuse',
        code: 'DecryptionFailure',
        message: "Secrets Manager can't decrypt the protected secret text",
      },
      saying('secret readable', 'fail', 'enable-key'),
    ],
    [
      'reading it denied',
      {
        kind: 'refuse',
        code: 'AccessDeniedException',
        message: 'User: arn is not authorized to perform: secretsmanager:GetSecretValue',
      },
      saying('secret readable', 'fail', 'get-resource-policy'),
    ],
    [
      'Secrets Manager throttling',
      { kind: 'throttle' },
      saying('secret readable', 'not-checked', 'throttles'),
    ],
    [
      'Secrets Manager out of reach',
      { kind: 'drop' },
      saying('secret readable', 'fail', 'network.endpoints'),
    ],
  ])('%s', async (_what, action, expected) => {
    refuse('arn:aws:secretsmanager*', action);
    // Its value unread, nobody tries to log in with it.
    expect(await said()).toEqual([expected]);
  });

  test('scheduled for deletion', async () => {
    await secretsManager('DeleteSecret', { SecretId: one.secret, RecoveryWindowInDays: 7 });
    onTestFinished(async () => void (await secretsManager('RestoreSecret', { SecretId: one.secret })));
    expect(await said()).toEqual([saying('secret exists', 'fail', 'restore-secret')]);
  });

  test('gone', async () => {
    const secret = 'agents/gone';
    expect(await said(one, { secretName: secret, secretArn: secret })).toEqual([
      saying('secret exists', 'fail', 'there is no secret agents/gone'),
    ]);
  });
});

describe('the target', () => {
  const elsewhere = (changes: object): Partial<Credential> => ({ target: { ...one.target, ...changes } });

  test('a closed port', async () => {
    expect(await said(one, elsewhere({ port: 1 }))).toEqual([
      saying('target administered', 'fail', '(ECONNREFUSED)', 'target.port'),
      saying('target login', 'not-checked'),
    ]);
  });

  test('a host without a name', async () => {
    const [administered] = await said(one, elsewhere({ host: 'nowhere.invalid' }));
    expect(administered).toEqual(
      saying('target administered', 'fail', 'does not resolve where the functions are', 'setting network'),
    );
  });

  test('packets that nobody answers', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    onTestFinished(() => void silent.close());
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const [administered] = await said(one, elsewhere({ port }));
    expect(administered).toEqual(saying('target administered', 'fail', 'security group', 'routes'));
  });

  test('a certificate of nobody known', async () => {
    const [administered] = await said(one, elsewhere({ tls: { mode: 'verify-full' } }));
    expect(administered).toEqual(saying('target administered', 'fail', 'TLS check', 'target.tls.ca'));
  });

  test('an administrator who may not log in', async () => {
    const { user } = world.server.admin;
    await world.server.sql(`ALTER ROLE ${user} NOLOGIN`);
    onTestFinished(async () => void (await world.server.sql(`ALTER ROLE ${user} LOGIN`)));
    expect(await said()).toEqual([
      saying('target administered', 'fail', 'refused the login of the administrator'),
    ]);
  });

  test('an administrator who lacks a grant: the GRANT is named', async () => {
    const { user } = world.server.admin;
    await world.server.sql(`REVOKE ${one.target.ownerRole} FROM ${user} CASCADE`);
    onTestFinished(async () => {
      await world.server.sql(`GRANT ${one.target.ownerRole} TO ${user} WITH ADMIN OPTION`);
    });
    expect(await said()).toEqual([saying('target administered', 'fail', 'GRANT ')]);
  });

  test('a login that somebody has shut', async () => {
    const { user } = await one.login();
    await world.server.sql(`ALTER ROLE "${user}" NOLOGIN`);
    onTestFinished(async () => void (await world.server.sql(`ALTER ROLE "${user}" LOGIN`)));
    expect(await said()).toEqual([saying('target login', 'fail', 'refused the login of the credential')]);
  });

  test('where the administrative secret may not be read, its rights are unknown, and the rest is checked', async () => {
    refuse('database/admin', {
      kind: 'refuse',
      code: 'AccessDeniedException',
      message: 'Access to KMS is not allowed',
    });
    const { checks, admin } = await looked();
    expect(admin).toEqual({ trouble: 'key-denied' });
    expect(shown(checks)).toEqual([saying('target administered', 'not-checked', 'administrative secret')]);
  });
});

test('what is only observed is told what its take-over would meet; once taken over, all is well', async () => {
  const found = await Existing.make(world.newCase(), { tagged: false });
  const { one: mine, login } = found;
  await mine.repeating(() => mine.tryRegister(found.declared('observe', { admin: undefined, holders: [] })));
  const before = await found.state();
  const untagged = (await said(mine)).map(([title, state]) => [title, state]);
  // No administrative login is declared: control-api says so, and nobody logs in.
  expect(untagged).toEqual([['secret tags', 'warn']]);

  await found.tag();
  await mine.repeating(() => mine.tryRegister(found.declared('observe')));
  const { database } = mine.target;
  await world.server.sql(
    `SET ROLE app_owner; CREATE TABLE app.own (owner name); ALTER TABLE app.own ENABLE ROW LEVEL SECURITY; GRANT SELECT ON app.own TO ${login};
     CREATE POLICY own_rows ON app.own USING (owner = current_user)`,
    database,
  );
  expect(await said(mine)).toEqual([saying('target take-over', 'warn', 'policy own_rows')]);
  await world.server.sql('DROP TABLE app.own', database);
  expect(await said(mine)).toEqual([]);
  expect(await found.state()).toEqual({ ...before, tags: expect.anything() });

  await mine.repeating(() => mine.tryRegister(found.declared('enforce')));
  await mine.settle();
  expect(await said(mine)).toEqual([]);
});

test('a ledger that the network does not let through is told from a credential that is ill', async () => {
  onTestFinished(
    world.stack.gateway.faults.add({ match: { service: 'dynamodb' }, action: { kind: 'drop' } }),
  );
  const deps = { ...one.deps, troubleOf, stepLimitMs: 1000 };
  const id = '00000000-0000-4000-8000-000000000000';
  const { checks } = await diagnose(deps, { stage: 'local', rotationFunction: 'f' }, id);
  expect(shown(checks)).toEqual([
    saying('credential ledger', 'fail', 'DynamoDB did not answer', 'network.endpoints'),
  ]);
});

test('workloads whose owner has not consented, or that do not exist, are named', async () => {
  const holders = [
    { kind: 'ecs-restart', name: 'web', cluster: 'shop', service: 'orders' },
    { kind: 'lambda', name: 'nightly', function: 'nightly' },
  ];
  const held = world.newCase({}, holders);
  await held.register();
  await held.workloads();
  const checks = await held.process((deps) => held.id().then((id) => diagnoseHolders(deps, id)));
  expect(checks.map(({ name, state }) => [name, state])).toEqual([
    ['web', 'fail'],
    ['nightly', 'fail'],
  ]);
  expect(checks.every(({ remedy }) => remedy !== undefined)).toBe(true);
});
