import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
  TagResourceCommand,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { ADMIN_SECRET, EXISTING, seedExisting } from '../../local/demo/database.ts';
import { TTL_SECONDS } from '../../local/demo/declaration.ts';
import { startFleet, type Fleet } from '../../local/demo/fleet.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import { root } from '../infra/app.ts';

/** A fenced block of the guide: its language, and the file that it is about. */
interface Block {
  readonly language: string;
  readonly file: string;
  readonly text: string;
}

/** Commands of the guide that another does here, with the reason. */
const DONE_OTHERWISE: readonly (readonly [RegExp, string])[] = [
  [/^git clone .* && cd rekey$/, 'this checkout is the clone'],
  [/^npm run setup$/, 'whoever runs this test has set up'],
  // MiniStack lacks resource types: local/deploy.ts runs the same two commands of the same CLI around that.
  [/^npx cdk bootstrap$/, 'startWorld bootstraps'],
  [
    /^npx cdk deploy --all -c stage=prod -c settings=settings.json$/,
    'startWorld deploys with these settings',
  ],
];

/** `docs/quickstart.md`, command by command, for somebody whose agents work meanwhile. */
describe('the quickstart', { timeout: 300_000 }, () => {
  let blocks: Block[];
  let world: World;
  let vault: SecretsManagerClient;
  let fleet: Fleet;
  let env: Record<string, string | undefined>;

  beforeAll(async () => {
    const guide = await readFile(join(root, 'docs', 'quickstart.md'), 'utf8');
    blocks = [...guide.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm)].map(
      ([, language = '', file = '', text = '']) => ({ language, file, text }),
    );
    const settings = blocks.find(({ file }) => file === 'settings.json');
    world = await startWorld(() => undefined, JSON.parse(settings?.text ?? '') as Record<string, unknown>);
    await seedExisting(world.server, world.stack);
    vault = new SecretsManagerClient(world.stack.clientConfig);
    env = { ...process.env, ...world.env, NO_COLOR: '1' };
    fleet = startFleet(world.server, world.stack, {
      agents: 3,
      secret: EXISTING.secret,
      ttlSeconds: TTL_SECONDS,
      query: 'INSERT INTO shop.orders DEFAULT VALUES',
    });
  }, 180_000);

  afterAll(async () => {
    await fleet?.stop();
    vault?.destroy();
    await world?.stop();
  }, 60_000);

  const commands = (index: number): string[] =>
    (blocks.filter(({ language }) => language === 'sh')[index]?.text ?? '').trim().split('\n');
  const value = async (secret: string): Promise<string> =>
    (await vault.send(new GetSecretValueCommand({ SecretId: secret }))).SecretString ?? '';

  /** Runs a block line by line; the stage is the local one. */
  async function run(index: number): Promise<string> {
    let output = '';
    for (const line of commands(index)) {
      if (DONE_OTHERWISE.some(([pattern]) => pattern.test(line))) continue;
      const command = line.replaceAll('prod', 'local');
      const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
      const [first, second] = words;
      if (first === 'export') env = { ...env, ...Object.fromEntries([(second ?? '').split('=')]) };
      else if (first === 'aws') await aws(words.slice(1));
      else if (first === 'npx' && second === 'rekey') output += await rekey(words.slice(2));
      else throw new Error(`this test knows no way to run: ${line}`);
    }
    return output;
  }

  /** As `npx rekey` in the folder that the guide's files are in. */
  function rekey(args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const launcher = join(root, 'cli', 'rekey.mjs');
      const options = { cwd: world.dir, env, timeout: 120_000 };
      execFile(process.execPath, [launcher, ...args], options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`rekey ${args.join(' ')}: ${stderr}${stdout}`));
      });
    });
  }

  /** The two commands of the AWS CLI that the guide needs, by the same API. */
  async function aws([service, operation, ...rest]: readonly string[]): Promise<void> {
    const options = {
      'secret-id': 'string',
      name: 'string',
      'secret-string': 'string',
      tags: 'string',
    } as const;
    const { values, positionals } = parseArgs({
      args: [...rest],
      allowPositionals: true,
      options: Object.fromEntries(Object.entries(options).map(([name, type]) => [name, { type }])),
    });
    const tags = [String(values['tags']), ...positionals].map((tag) => {
      const [, Key = '', Value = ''] = /^Key=(.+),Value=(.+)$/.exec(tag) ?? [];
      return { Key, Value };
    });
    const text = values['secret-string'] ?? '';
    if (`${service} ${operation}` === 'secretsmanager tag-resource') {
      await vault.send(new TagResourceCommand({ SecretId: String(values['secret-id']), Tags: tags }));
    } else if (`${service} ${operation}` === 'secretsmanager create-secret') {
      const content = await readFile(join(world.dir, text.replace(/^file:\/\//, '')), 'utf8');
      await vault.send(
        new CreateSecretCommand({ Name: String(values['name']), SecretString: content, Tags: tags }),
      );
    } else throw new Error(`aws ${service} ${operation} is not known here`);
  }

  test('leads to a first observed credential, and changes nothing on the way', async () => {
    const before = await value(EXISTING.secret);
    await run(0);
    const shown = await run(1);
    expect(shown).toContain('mode         observe');
    expect(shown).toContain('adoption     observed');
    expect(await value(EXISTING.secret)).toBe(before);
  });

  test('leads on to a first enforced one, and still changes no password', async () => {
    const before = await value(EXISTING.secret);
    const { host } = world.server;
    const admin = { ...(JSON.parse(await value(ADMIN_SECRET)) as object), allowedHosts: [host] };
    await writeFile(join(world.dir, 'admin.json'), JSON.stringify(admin));
    await run(2);
    await complete();
    const said = await run(3);
    expect(said).toContain('would be updated');
    expect(said).toContain('legacy-orders-db');
    expect(await value(EXISTING.secret)).toBe(before);
  });

  test('ends with a rotation that no agent notices, and an audit that tells of it', async () => {
    const said = await run(4);
    expect(said).toMatch(/legacy-orders-db/);
    expect(JSON.parse(await value(EXISTING.secret))).toMatchObject({ username: `${EXISTING.user}_b` });
    await fleet.stop();
    expect(fleet.counts).toMatchObject({ authFailures: 0, permissionFailures: 0 });
    expect([...fleet.counts.otherFailures]).toEqual([]);
    expect(fleet.counts.queries).toBeGreaterThan(100);
  });

  test('has no commands but those that have run', () => {
    expect(blocks.filter(({ language }) => language === 'sh')).toHaveLength(5);
    const first = commands(0).filter((line) => !DONE_OTHERWISE.some(([pattern]) => pattern.test(line)));
    expect(first).toEqual(['export REKEY_STAGE=prod']);
  });

  /** What the guide has a person write, and what only this stage needs: short waits and its own authority. */
  async function complete(): Promise<void> {
    const file = join(world.dir, 'rekey.yaml');
    const declared = parse(await readFile(file, 'utf8')) as { credentials: { target: object }[] };
    const [entry] = declared.credentials;
    if (entry === undefined) throw new Error('nothing was imported');
    const written = blocks.find((block) => block.file === 'rekey.yaml')?.text ?? '';
    Object.assign(entry, parse(written), {
      policy: { window: '5s', deadline: '60s', cap: '5m', soak: '1s' },
      holders: [{ kind: 'polling', name: 'order-agents', ttl: `${TTL_SECONDS}s` }],
      target: { ...entry.target, tls: { mode: 'verify-full', ca: world.server.caPem } },
    });
    await writeFile(file, stringify(declared));
  }
});
