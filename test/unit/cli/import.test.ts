import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseEntry } from '../../../shared/domain/declaration.ts';
import { rekey, startStandIn, type Ran, type StandIn } from './stand-in.ts';

const login = {
  kind: 'json',
  keys: ['engine', 'host', 'dbname', 'username', 'password'],
  engine: 'postgres',
  host: 'db.internal',
  database: 'orders',
  username: 'orders_app',
};
const secret = (name: string, more: object = {}) => ({
  name,
  arn: `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${name}-AbCdEf`,
  tags: {},
  registered: false,
  shape: login,
  ...more,
});

let api: StandIn;
let folder: string;
beforeEach(async () => {
  api = await startStandIn();
  folder = await mkdtemp(join(tmpdir(), 'rekey-'));
});
afterEach(async () => {
  await api.close();
  await rm(folder, { recursive: true });
});

function run(secrets: object[], ...args: string[]): Promise<Ran> {
  api.routes['GET /v1/inventory'] = { body: { secrets } };
  return rekey(api, ['import', ...args], { cwd: folder });
}

describe('rekey import', () => {
  it('prints proposed entries, registers nothing, and says what it left out and why', async () => {
    const { exit, stdout, stderr } = await run([
      secret('prod/orders'),
      secret('prod/text', { shape: { kind: 'text' } }),
      secret('prod/done', { registered: true }),
    ]);
    expect(exit).toBe(0);
    expect(parse(stdout)).toMatchObject({
      version: 1,
      credentials: [{ name: 'prod-orders', secret: 'prod/orders', adopt: true, mode: 'observe' }],
    });
    expect(stderr).toContain('- prod/text:');
    expect(stderr).toContain('1 proposed, 1 registered already, 0 undecided, 1 left out');
    expect(api.seen.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('reads every page', async () => {
    api.routes['GET /v1/inventory'] = [
      { body: { secrets: [secret('a')], next: 'p2' } },
      { body: { secrets: [secret('b')] } },
    ];
    const { stdout } = await rekey(api, ['import', '--prefix', 'x', '--json'], { cwd: folder });
    expect(JSON.parse(stdout).entries).toHaveLength(2);
    expect(api.seen.map(({ query }) => query)).toEqual([{ prefix: 'x' }, { prefix: 'x', page: 'p2' }]);
  });

  it('adds to a file what it does not have, keeps what is written there, and does so once', async () => {
    const before = '# ours\nversion: 1\ncredentials:\n  - { name: prod-a, secret: kept } # by hand\n';
    await writeFile(join(folder, 'rekey.yaml'), before);
    const found = [secret('kept'), secret('prod/a')];
    expect((await run(found, '-o', 'rekey.yaml')).stderr).toContain('1 proposed, 1 in the file already');
    const after = await readFile(join(folder, 'rekey.yaml'), 'utf8');
    expect(after).toContain('# ours');
    expect(after).toContain('# by hand');
    expect(after).toContain('# nobody is known to hold it: declare holders');
    expect(parse(after).credentials).toMatchObject([
      { name: 'prod-a' },
      { name: 'prod-a-2', secret: 'prod/a' },
    ]);
    await run(found, '-o', 'rekey.yaml');
    expect(await readFile(join(folder, 'rekey.yaml'), 'utf8')).toBe(after);
    expect(await readdir(folder)).toEqual(['rekey.yaml']);
  });

  it('proposes those as holders of whom everything is known, and tells of the others what is to be filled in', async () => {
    const principal = 'arn:aws:iam::111122223333:role/r';
    const seen = { firstSeen: '2026-11-20T00:00:00.000Z', lastSeen: '2026-11-22T00:00:00.000Z' };
    const readers = [
      {
        kind: 'lambda',
        principal,
        name: 'orders',
        ...seen,
        proposal: { kind: 'lambda', name: 'orders', function: 'orders', principal },
      },
      { kind: 'role', principal, ...seen, proposal: { kind: 'polling', name: 'r', ttl: '<ttl>', principal } },
      {
        kind: 'lambda',
        principal,
        ...seen,
        proposal: { kind: 'lambda', name: 's', function: '<function>', principal },
      },
      { kind: 'person', principal, ...seen },
    ];
    const { stdout } = await run([secret('prod/orders', { readers })]);
    const { credentials } = parse(stdout);
    expect(parseEntry(credentials[0]).holders).toEqual([
      { kind: 'lambda', name: 'orders', function: 'orders', principal },
    ]);
    expect(stdout).toContain(
      `# seen to read it; fill in, below holders: - { kind: polling, name: r, ttl: <ttl>, principal: "${principal}" }`,
    );
    expect(stdout).toContain(
      '# seen to read it; fill in, below holders: - { kind: lambda, name: s, function: <function>,',
    );
    expect(stdout).not.toContain('nobody is known to hold it');
  });

  it('of a named secret whose shape fits two types is refused with the word that decides, and writes nothing', async () => {
    const open = secret('prod/open', { shape: { ...login, engine: undefined } });
    const refused = await run([open, secret('prod/a')], 'prod/open', 'prod/a', '-o', 'rekey.yaml');
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain('its shape fits database/postgresql and database/mysql');
    expect(refused.stderr).toContain('--as prod/open=database/postgresql');
    expect(await readdir(folder)).toEqual([]);
    const decided = await run([open], 'prod/open', '--as', 'prod/open=database/postgresql', '--json');
    expect(JSON.parse(decided.stdout).entries).toHaveLength(1);
  });

  it('of a secret that is not there, or of another region, is refused', async () => {
    const other = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:a-AbCdEf';
    const { exit, stderr } = await run([secret('a')], other);
    expect(exit).toBe(1);
    expect(stderr).toContain('imported by the deployment there');
  });

  it('refuses a file that is no declaration, and a --as that is none', async () => {
    await writeFile(join(folder, 'other.yaml'), 'a: 1\n');
    expect((await run([secret('a')], '-o', 'other.yaml')).stderr).toContain('is no declaration file');
    expect((await run([secret('a')], '--as', 'a')).exit).toBe(2);
  });
});

describe('rekey import of plain keys', () => {
  const OPENAI = `sk-svcacct-${'a'.repeat(40)}`;
  const PINECONE = `pcsk_${'b'.repeat(40)}`;
  const listed = (...lines: string[]) => writeFile(join(folder, '.env'), lines.join('\n'));
  const keys = (...args: string[]) => rekey(api, ['import', '--keys', ...args], { cwd: folder });

  it('proposes what each form tells, asks nobody, and prints no value', async () => {
    await listed(`export OPENAI_API_KEY="${OPENAI}"`, '# a remark', 'PORT=5432', '', PINECONE);
    const { exit, stdout, stderr } = await keys('.env');
    expect(exit).toBe(0);
    expect(parse(stdout).credentials).toMatchObject([
      { type: 'llm-key', provider: 'openai', secret: 'agents/openai-api-key', adopt: true, mode: 'observe' },
      { type: 'vector-database-key', provider: 'pinecone', secret: 'agents/key-of-line-5' },
    ]);
    for (const { name, ...entry } of parse(stdout).credentials)
      expect(parseEntry({ name, ...entry })).toBeDefined();
    expect(stdout).toContain('# add target.project, target.serviceAccount: a key does not say');
    expect(stdout).toContain('# put it into a secret named agents/openai-api-key first');
    for (const value of [OPENAI, PINECONE]) expect(stdout + stderr).not.toContain(value.slice(12));
    expect(api.seen).toEqual([]);
  });

  it('reads standard input, and tells machines the fingerprint of each', async () => {
    const { stdout } = await rekey(api, ['import', '--keys', '-', '--json'], { cwd: folder, input: OPENAI });
    const { entries, keys: told } = JSON.parse(stdout);
    expect(entries).toHaveLength(1);
    const digest = createHash('sha256').update(OPENAI).digest('hex');
    expect(told).toMatchObject([{ key: 'line 1', fingerprint: `sha256:${digest}`, verdict: 'proposed' }]);
    expect(stdout).not.toContain(OPENAI.slice(12));
  });

  it('reads them with a remark behind, in a JSON of one line and in a command, and tells which lines it left unread', async () => {
    const key = (letter: string) => `sk-proj-${letter.repeat(40)}`;
    await listed(
      `A=${key('a')} # prod`,
      `export B="${key('b')}" # prod`,
      `{"openai": {"apiKey": "${key('c')}"}, "retries": 3}`,
      `curl -H "Authorization: Bearer ${key('d')}" https://api.openai.com/v1/models`,
      `AUTH_HEADER='Bearer ${key('e')}'`,
      `GIVEN_API_KEY=short # of a test`,
      `{"one": "${key('f')}", "two": "${PINECONE}"}`,
      `# OLD_KEY=${key('g')}`,
      `run ${key('h')} ${key('i')}`,
      'SET=',
      '{',
      'words without any form',
      `${key('j')}: of the shop`,
    );
    const { exit, stdout, stderr } = await keys('.env', '--json');
    expect([exit, stderr]).toEqual([0, '']);
    const { keys: told, unread } = JSON.parse(stdout);
    expect(told.map((each: { key: string }) => each.key)).toEqual([
      'A',
      'B',
      'apiKey',
      'line 4',
      'AUTH_HEADER',
      'GIVEN_API_KEY',
      'one',
      'two',
      'line 13',
    ]);
    expect(told[0].fingerprint).toBe(`sha256:${createHash('sha256').update(key('a')).digest('hex')}`);
    expect(unread).toEqual([8, 9, 12]);
    const shown = await keys('.env');
    expect(shown.stderr).toContain('lines 8-9, 12 of .env left unread:');
    for (const value of ['ggggg', 'hhhhh', 'without any form']) expect(shown.stderr).not.toContain(value);
  });

  it('proposes one entry for a value that has two names, and the command that makes its secret', async () => {
    await listed(`A_KEY=${OPENAI}`, `B_KEY=${OPENAI}`);
    const { stdout, stderr } = await keys('.env');
    expect(parse(stdout).credentials).toMatchObject([{ secret: 'agents/a-key' }]);
    expect(stdout).toContain('create-secret --name agents/a-key --secret-string file://key.json');
    expect(stderr).toContain('- B_KEY: it has the value of A_KEY');
  });

  it('refuses a provider that there is not, with those that there are', async () => {
    await listed(`A_KEY=${OPENAI}`);
    const { exit, stderr } = await keys('.env', '--as', 'A_KEY=llm-key/coher');
    expect([exit, stderr]).toEqual([
      2,
      expect.stringMatching(/no such provider[^]*use one of .*llm-key\/cohere/),
    ]);
  });

  it('says why it has nothing to read, as wrong usage', async () => {
    const empty = await rekey(api, ['import', '--keys', '-'], { cwd: folder, input: '\n' });
    expect([empty.exit, empty.stderr]).toEqual([
      2,
      expect.stringMatching(/standard input is empty[^]*remedy: /),
    ]);
    const absent = await keys('nowhere');
    expect([absent.exit, absent.stderr]).toEqual([2, expect.stringMatching(/no such file[^]*remedy: /)]);
    expect((await keys('.')).stderr).toMatch(/it is a directory[^]*remedy: /);
  });

  it('whose form two providers write, or that has none, is asked; an administrative one is left out', async () => {
    const admin = `sk-admin-${'d'.repeat(40)}`;
    await listed(`CHAT_KEY=sk-${'c'.repeat(48)}`, 'MISTRAL_API_KEY=abcdefgh', `ROOT=${admin}`);
    const { stdout, stderr } = await keys('.env');
    expect(parse(stdout) ?? {}).toEqual({});
    expect(stderr).toContain(
      "? CHAT_KEY: its shape fits llm-key/openai and llm-key/another (not Rekey's to rotate)",
    );
    expect(stderr).toContain('--as "CHAT_KEY=TYPE/PROVIDER"');
    expect(stderr).toContain('? MISTRAL_API_KEY:');
    expect(stderr).toContain('- ROOT: it is an administrative key');
    const decided = await keys('.env', '--as', 'MISTRAL_API_KEY=llm-key/mistral', '--json');
    const [entry] = JSON.parse(decided.stdout).entries;
    expect(entry).toMatchObject({ provider: 'mistral', target: { label: 'agents-mistral-api-key' } });
    // What may be short enough to be guessed has no fingerprint.
    const { keys: told } = JSON.parse(decided.stdout);
    expect(told[1].fingerprint).toBeUndefined();
  });

  it('of AWS is one key: its secret part is not asked about', async () => {
    await listed(`AWS_ACCESS_KEY_ID=AKIA${'A'.repeat(16)}`, `AWS_SECRET_ACCESS_KEY=${'s'.repeat(40)}`);
    const { stdout, stderr } = await keys('.env', '--json');
    expect(JSON.parse(stdout).entries).toMatchObject([{ provider: 'aws-iam' }]);
    expect(stderr + stdout).not.toContain('AWS_SECRET_ACCESS_KEY');
    // Alone, nobody knows what it belongs to.
    await listed(`AWS_SECRET_ACCESS_KEY=${'s'.repeat(40)}`);
    expect((await keys('.env')).stderr).toContain('? AWS_SECRET_ACCESS_KEY:');
  });

  it('beside names of secrets, of a file that is not there, and --as of no key in it, is refused', async () => {
    await listed(OPENAI);
    expect((await keys('.env', 'prod/orders')).exit).toBe(2);
    expect((await keys('.env', '--prefix', 'prod/')).exit).toBe(2);
    expect((await keys('nowhere')).exit).toBe(2);
    await listed(OPENAI, 'LOG_LEVEL=debug');
    const other = await keys('.env', '--as', 'LOG_LEVEL=llm-key/cohere');
    expect([other.exit, other.stderr]).toEqual([
      2,
      expect.stringContaining('its value is not taken for a key'),
    ]);
    expect((await keys('.env', '--as', 'OTHER=llm-key/openai')).stderr).toContain('no key called OTHER');
  });
});
