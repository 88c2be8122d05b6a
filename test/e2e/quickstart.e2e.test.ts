import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  SecretsManagerClient,
  TagResourceCommand,
  UpdateSecretCommand,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { EXIT } from '../../cli/failure.ts';
import { ADMIN_SECRET, EXISTING, seedExisting, tryLogin } from '../../local/demo/database.ts';
import { databaseCredential, TTL_SECONDS } from '../../local/demo/declaration.ts';
import { startFleet, type Fleet } from '../../local/demo/fleet.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import { TAG } from '../../shared/names.ts';
import { synthesise } from '../infra/app.ts';
import { Guide, type Otherwise } from '../support/guide.ts';
import { forgetRecording, keepRecording } from '../support/iam/recording.ts';

let world: World;
let vault: SecretsManagerClient;

beforeAll(async () => {
  await forgetRecording('quickstart');
  const settings = (await Guide.blocksOf('quickstart.md')).find(({ file }) => file === 'settings.json');
  world = await startWorld(() => undefined, JSON.parse(settings?.text ?? '') as Record<string, unknown>);
  await seedExisting(world.server, world.stack);
  vault = new SecretsManagerClient(world.stack.clientConfig);
}, 300_000);

afterAll(async () => {
  vault?.destroy();
  await keepRecording('quickstart', world);
  await world?.stop();
}, 60_000);

const open = (page: string, otherwise: readonly Otherwise[]): Promise<Guide> =>
  Guide.open(page, { dir: world.dir, env: world.env, aws, otherwise });
const value = async (secret: string): Promise<string> =>
  (await vault.send(new GetSecretValueCommand({ SecretId: secret }))).SecretString ?? '';

/** The commands of the AWS CLI that the guides need, by the same API. */
async function aws([service, operation, ...rest]: readonly string[]): Promise<string> {
  const options = ['secret-id', 'name', 'secret-string', 'tags', 'query', 'output', 'kms-key-id'];
  const { values, positionals } = parseArgs({
    args: [...rest],
    allowPositionals: true,
    options: Object.fromEntries(options.map((name) => [name, { type: 'string' as const }])),
  });
  const given = (name: string): string => values[name] ?? '';
  const tags = [given('tags'), ...positionals].map((tag) => {
    const [, Key = '', Value = ''] = /^Key=(.+),Value=(.+)$/.exec(tag) ?? [];
    return { Key, Value };
  });
  switch (`${service} ${operation}`) {
    case 'secretsmanager tag-resource':
      await vault.send(new TagResourceCommand({ SecretId: given('secret-id'), Tags: tags }));
      return '';
    case 'secretsmanager create-secret': {
      const content = await readFile(
        join(world.dir, given('secret-string').replace(/^file:\/\//, '')),
        'utf8',
      );
      await vault.send(new CreateSecretCommand({ Name: given('name'), SecretString: content, Tags: tags }));
      return '';
    }
    case 'secretsmanager list-secrets': {
      const asked = /^SecretList\[\?RotationEnabled && contains\(RotationLambdaARN, '([^']+)'\)\]\.Name$/;
      const part = asked.exec(given('query'))?.[1];
      if (part === undefined) throw new Error(`this query is not known here: ${given('query')}`);
      return (await secrets())
        .filter(
          ({ RotationEnabled, RotationLambdaARN = '' }) =>
            RotationEnabled && RotationLambdaARN.includes(part),
        )
        .map(({ Name }) => Name)
        .join('\t');
    }
    case 'secretsmanager update-secret':
      await vault.send(
        new UpdateSecretCommand({ SecretId: given('secret-id'), KmsKeyId: given('kms-key-id') }),
      );
      return '';
    default:
      throw new Error(`aws ${service} ${operation} is not known here`);
  }
}

async function secrets() {
  return (await vault.send(new ListSecretsCommand({ MaxResults: 100 }))).SecretList ?? [];
}

/** `docs/quickstart.md`, command by command, for somebody whose agents work meanwhile. */
describe('the quickstart', { timeout: 300_000 }, () => {
  const otherwise: readonly Otherwise[] = [
    { line: /^git clone .* && cd rekey$/, reason: 'this checkout is the clone' },
    { line: /^npm run setup$/, reason: 'whoever runs this test has set up' },
    // MiniStack lacks resource types: local/deploy.ts runs the same two commands of the same CLI around that.
    { line: /^npx cdk bootstrap$/, reason: 'startWorld bootstraps' },
    {
      line: /^npx cdk deploy --all -c stage=prod -c settings=settings.json$/,
      reason: 'startWorld deploys with these settings',
    },
    {
      line: /^npx rekey doctor legacy-orders-db$/,
      reason:
        'until its schedules have run, which the guide speaks of, a deployment is not checked as a whole',
      run: () => checked(Date.now() + 150_000),
    },
  ];
  let guide: Guide;
  /** What doctor tells once everything could be checked. */
  const checked = (until: number): Promise<string> =>
    guide.rekey(['doctor', 'legacy-orders-db']).catch(async (error: unknown) => {
      const unchecked = error instanceof Error && 'status' in error && error.status === EXIT.unchecked;
      if (!unchecked || Date.now() > until) throw error;
      await sleep(2000);
      return checked(until);
    });
  let fleet: Fleet;

  beforeAll(async () => {
    guide = await open('quickstart.md', otherwise);
    fleet = startFleet(world.server, world.stack, {
      agents: 3,
      secret: EXISTING.secret,
      ttlSeconds: TTL_SECONDS,
      query: 'INSERT INTO shop.orders DEFAULT VALUES',
    });
  });

  afterAll(() => fleet?.stop());

  test('leads to a first observed credential, and changes nothing on the way', async () => {
    const before = await value(EXISTING.secret);
    await guide.run(0);
    const shown = await guide.run(1);
    expect(shown).toContain('mode         observe');
    expect(shown).toContain('adoption     observed');
    expect(await value(EXISTING.secret)).toBe(before);
    const stdout = await checked(Date.now() + 150_000);
    for (const missing of ['secret: tags', 'administrator: declared', 'holders: declared']) {
      expect(stdout).toMatch(new RegExp(`warn +${missing}`));
    }
    expect(stdout).toMatch(/0 to be mended\n$/);
  });

  test('leads on to a first enforced one, and still changes no password', async () => {
    const before = await value(EXISTING.secret);
    const { host } = world.server;
    const admin = { ...(JSON.parse(await value(ADMIN_SECRET)) as object), allowedHosts: [host] };
    await writeFile(join(world.dir, 'admin.json'), JSON.stringify(admin));
    await guide.run(2);
    await complete();
    const said = await guide.run(3);
    expect(said).toContain('would be updated');
    expect(said).toMatch(/ 0 not checked, 0 to be mended\n/);
    expect(said).toContain('legacy-orders-db');
    expect(await value(EXISTING.secret)).toBe(before);
  });

  test('ends with a rotation that no agent notices, and an audit that tells of it', async () => {
    const said = await guide.run(4);
    expect(said).toMatch(/legacy-orders-db/);
    expect(JSON.parse(await value(EXISTING.secret))).toMatchObject({ username: `${EXISTING.user}_b` });
    await fleet.stop();
    expect(fleet.counts).toMatchObject({ authFailures: 0, permissionFailures: 0 });
    expect([...fleet.counts.otherFailures]).toEqual([]);
    expect(fleet.counts.queries).toBeGreaterThan(100);
  });

  test('has no commands but those that have run', () => {
    expect(guide.commands).toHaveLength(5);
    const first = guide.commands[0]?.filter((command) => !otherwise.some(({ line }) => line.test(command)));
    expect(first).toEqual(['export REKEY_STAGE=prod']);
  });

  /** What the guide has a person write, and what only this stage needs: short waits and its own authority. */
  async function complete(): Promise<void> {
    const file = join(world.dir, 'rekey.yaml');
    const declared = parse(await readFile(file, 'utf8')) as { credentials: { target: object }[] };
    const [entry] = declared.credentials;
    if (entry === undefined) throw new Error('nothing was imported');
    const written = guide.blocks.find((block) => block.file === 'rekey.yaml')?.text ?? '';
    Object.assign(entry, parse(written), {
      policy: { window: '5s', deadline: '60s', cap: '5m', soak: '1s' },
      holders: [{ kind: 'polling', name: 'order-agents', ttl: `${TTL_SECONDS}s` }],
      target: { ...entry.target, tls: { mode: 'verify-full', ca: world.server.caPem } },
    });
    await writeFile(file, stringify(declared));
  }
});

/** `docs/uninstall.md`, command by command, where the quickstart has led and other credentials have come since. */
describe('leaving', { timeout: 300_000 }, () => {
  /** Adopted, made by Rekey with a rotation under way, made by Rekey in mode overlap. */
  const REGISTERED = [EXISTING.secret, 'agents/orders-db', 'agents/reports-db'];
  const otherwise: readonly Otherwise[] = [
    {
      line: /^for name in .* done$/,
      reason: 'jq is not everywhere: the same commands, one by one',
      run: async () => {
        for (const name of await listed()) await guide.rekey(unregistering(name));
        return '';
      },
    },
    ...[/^npx cdk destroy /, /^aws cloudformation update-termination-protection /].map((line) => ({
      line,
      reason: 'MiniStack lacks resource types, so that cdk destroy would not find what it looks for',
    })),
  ];
  let guide: Guide;
  let before: Map<string, string>;

  const unregistering = (name: string): string[] => [
    'unregister',
    name,
    '--reason',
    'leaving Rekey',
    '--yes',
  ];
  const listed = async (): Promise<string[]> => {
    const { credentials } = JSON.parse(await guide.rekey(['list', '--json'])) as {
      credentials: { name: string }[];
    };
    return credentials.map(({ name }) => name);
  };
  const phase = async (name: string): Promise<string | undefined> => {
    const shown = JSON.parse(await guide.rekey(['show', name, '--json'])) as {
      credential: { rotation?: { phase: string } };
    };
    return shown.credential.rotation?.phase;
  };
  const reached = async (name: string, wanted: string | undefined): Promise<void> => {
    for (const deadline = Date.now() + 90_000; (await phase(name)) !== wanted; await sleep(500))
      if (Date.now() > deadline) throw new Error(`${name} is still ${await phase(name)}`);
  };
  /** A real login with each secret's value. */
  const logins = async (): Promise<string[]> =>
    Promise.all(
      REGISTERED.map(async (secret) => {
        const { username, password } = JSON.parse(await value(secret)) as Record<string, string>;
        return tryLogin(world.server, { user: username ?? '', password: password ?? '' });
      }),
    );
  const pointing = (): Promise<string> =>
    aws([
      'secretsmanager',
      'list-secrets',
      '--query',
      "SecretList[?RotationEnabled && contains(RotationLambdaARN, 'rekey-local-rotation')].Name",
    ]);

  beforeAll(async () => {
    guide = await open('uninstall.md', otherwise);
    const orders = {
      ...databaseCredential(world.server, 'orders-db', 'orders_app', 'order-agents'),
      policy: { window: '20s', deadline: '60s', cap: '5m', soak: '1s' },
    };
    const reports = databaseCredential(world.server, 'reports-db', 'reports_app', 'report-agents');
    const more = { version: 1, credentials: [orders, { ...reports, mode: 'overlap' }] };
    await writeFile(join(world.dir, 'more.yaml'), stringify(more));
    await guide.rekey(['apply', '-f', 'more.yaml']);
    await guide.rekey(['rotate', 'reports-db', '--wait']);
    await guide.rekey(['rotate', 'orders-db']);
    await reached('orders-db', 'window');
  }, 120_000);

  test('an entry that is gone from its file changes nothing: its rotation goes on, and list finds it', async () => {
    await guide.rekey(['apply', '-f', 'rekey.yaml']);
    expect(await phase('orders-db')).toBe('window');
    const left = await guide.rekey(['list', '--not-in', 'rekey.yaml', '--json']);
    const names = (JSON.parse(left) as { credentials: { name: string }[] }).credentials.map(
      ({ name }) => name,
    );
    expect(names).toEqual(['orders-db', 'reports-db']);
    expect(await guide.rekey(['list', '--not-in', 'rekey.yaml', 'more.yaml'])).toContain('(3)');
  });

  test('begins with a pause that holds what is open, and ends that', async () => {
    expect((await pointing()).split('\t').toSorted()).toEqual(REGISTERED.toSorted());
    const said = await guide.run(0);
    expect(said).toMatch(
      /paused: orders-db \(rotation \S+ stands still: window\)[\s\S]*3 paused, 0 paused already/,
    );
    expect(await pointing()).toBe('');
    await expect(guide.rekey(unregistering('orders-db'))).rejects.toThrow(/ERR_WINDOW_OPEN/);
    await expect(guide.rekey(['rotate', 'reports-db'])).rejects.toThrow(/ERR_PAUSED/);
    // Past the window's end, which the pause holds off.
    await sleep(25_000);
    expect(await phase('orders-db')).toBe('window');
    await guide.run(1);
    expect(await phase('orders-db')).toBeUndefined();
  });

  test('lets go of every credential, and each secret works on: its value logs in', async () => {
    before = new Map(await Promise.all(REGISTERED.map(async (each) => [each, await value(each)] as const)));
    const said = await guide.run(2);
    expect(said).toMatch(/Rekey lets go of orders-db:[\s\S]*works on[\s\S]*unregistered: orders-db/);
    expect(said).toContain('No credential is registered yet');
    expect(await logins()).toEqual(['accepted', 'accepted', 'accepted']);
    const after = await Promise.all(REGISTERED.map(async (each) => [each, await value(each)] as const));
    expect(new Map(after)).toEqual(before);
  });

  test('leaves no schedule that points at a function which is gone, no label and no tag of its own', async () => {
    expect(await guide.run(3)).toBe('');
    for (const secret of await secrets()) {
      expect([secret.Name, secret.RotationEnabled ?? false]).toEqual([secret.Name, false]);
      const { Tags = [], VersionIdsToStages = {} } = await vault.send(
        new DescribeSecretCommand({ SecretId: secret.ARN }),
      );
      expect(Tags.map(({ Key }) => Key)).not.toContain(TAG.credential);
      expect(Object.values(VersionIdsToStages).flat()).not.toContain('AWSPENDING');
    }
  });

  test('encrypts what Rekey made anew, without a change of value', async () => {
    await guide.run(4);
    expect(await value('agents/orders-db')).toBe(before.get('agents/orders-db'));
    expect(await logins()).toEqual(['accepted', 'accepted', 'accepted']);
  });

  test('keeps the audit trail, which is found by the id', async () => {
    const { rotations, chain } = JSON.parse(await guide.rekey(['audit', '--json'])) as {
      rotations: { credential: string }[];
      chain: { faults: object[] };
    };
    expect(new Set(rotations.map(({ credential }) => credential))).toEqual(
      new Set(['legacy-orders-db', 'orders-db', 'reports-db']),
    );
    expect(chain.faults).toEqual([]);
  });

  test('removes every stack, dependents first, and has no commands but those that have run', async () => {
    expect(guide.commands).toHaveLength(7);
    const removed = guide.commands
      .slice(5)
      .flat()
      .flatMap((line) => /^npx cdk destroy (.*?) -c /.exec(line)?.[1]?.split(' ') ?? []);
    const stacks = synthesise();
    expect(removed.map((id) => id.toLowerCase()).toSorted()).toEqual(Object.keys(stacks).toSorted());
    const unprotected = guide.commands.flat().flatMap((line) => /--stack-name (\S+)$/.exec(line)?.[1] ?? []);
    const kept = Object.values(stacks).filter(({ terminationProtection }) => terminationProtection);
    expect(unprotected.map((name) => name.replace('prod', 'dev')).toSorted()).toEqual(
      kept.map(({ name }) => name).toSorted(),
    );
  });
});
