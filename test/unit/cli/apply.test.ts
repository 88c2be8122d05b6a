import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { problemOf } from '../../../shared/api/problems.ts';
import {
  declarationJsonSchema,
  familyTermsOf,
  parseDeclaration,
  holdersOf,
  policyInput,
} from '../../../shared/domain/declaration.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { resolvePolicy } from '../../../shared/domain/policy.ts';
import { draftOf } from '../../../shared/engine/register-draft.ts';
import { parseTarget } from '../../../shared/providers/postgresql/target.ts';
import { providerFor } from '../../../shared/providers/registry.ts';
import { rekey, startStandIn, type Ran, type Reply, type StandIn } from './stand-in.ts';

const repository = new URL('../../../', import.meta.url);

const ENTRY = `
  - name: orders-db
    type: database
    provider: postgresql
    secret: agents/orders-db
    admin: admin/orders-db
    target: { host: db.internal }
`;
const SECOND = ENTRY.replaceAll('orders', 'billing');

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

async function applied(text: string, ...args: string[]): Promise<Ran> {
  await writeFile(join(folder, 'rekey.yaml'), text);
  return rekey(api, ['apply', ...args], { cwd: folder });
}

function answer(outcome: string, changes: unknown[] = [], dryRun = false): Reply {
  return { status: outcome === 'registered' ? 201 : 200, body: { outcome, dryRun, changes } };
}

describe('the path of a declaration file', () => {
  it('is shown as seen from where the user is, and never as a way up that nobody typed', async () => {
    const file = join(folder, 'rekey.yaml');
    await writeFile(file, 'version: 1\ncredentials: 7\n');
    const from = async (cwd: string, given: string): Promise<string> =>
      (await rekey(api, ['apply', '-f', given], { cwd })).stderr;
    expect(await from(folder, file)).toMatch(/error rekey\.yaml:2:1/);
    expect(await from('/', file)).toContain(`error ${file.slice(1)}:2:1`);
    const elsewhere = join(folder, 'a', 'b');
    expect(await from(elsewhere, file)).toContain(`error ${file}:2:1`);
    expect(await from(elsewhere, '../../rekey.yaml')).toContain('error ../../rekey.yaml:2:1');
  });
});

describe('rekey apply', () => {
  it('sends every entry and says what each outcome means', async () => {
    api.routes['POST /v1/credentials'] = [answer('registered'), answer('unchanged')];
    const { exit, stdout } = await applied(`version: 1\ncredentials:${ENTRY}${SECOND}`);
    expect(exit).toBe(0);
    expect(api.seen.map(({ body }) => body)).toMatchObject([
      { declaration: { name: 'orders-db', target: { host: 'db.internal' } }, dryRun: false },
      { declaration: { name: 'billing-db' } },
    ]);
    expect(stdout).toMatch(
      /\+ orders-db: registered[\s\S]*secret "agents\/orders-db"[\s\S]*registering rotates nothing/,
    );
    expect(stdout).toContain('= billing-db: unchanged');
    expect(stdout).toContain('1 registered, 0 updated, 1 unchanged');
  });

  it.for([[], ['--dry-run']])('names the way without a key, where there is one: apply %s', async (args) => {
    const dryRun = args.length > 0;
    api.routes['POST /v1/credentials'] = [answer('registered', [], dryRun), answer('registered', [], dryRun)];
    const key = (name: string, provider: string): string => `
  - name: ${name}
    type: llm-key
    provider: ${provider}
    secret: agents/${name}
    admin: admin/${name}
    target: { label: ${name} }
`;
    const text = `version: 1\ncredentials:${key('claude', 'anthropic')}${key('gpt', 'openai')}`;
    const { stdout } = await applied(text, ...args);
    const lines = stdout.split('\n').filter((line) => line.includes('without a key'));
    const instead = 'Workload Identity Federation';
    expect(lines).toEqual([`    It could do without a key: ${instead} (docs/providers/anthropic.md)`]);
    const json = JSON.parse((await applied(text, ...args, '--json')).stdout) as { credentials: object[] };
    expect(json.credentials[0]).toMatchObject({ keyless: { instead, docs: 'docs/providers/anthropic.md' } });
    expect(json.credentials[1]).not.toHaveProperty('keyless');
  });

  it('names the field of a mistake on a line of its own, also where the message has it', async () => {
    const { exit, stderr } = await applied('version: 1\n');
    expect(exit).toBe(1);
    expect(stderr).toMatch(/credentials: is missing; write a list\n +field: credentials\n +remedy: /);
  });

  it('shows a dry run as a diff', async () => {
    api.routes['POST /v1/credentials'] = [
      answer('registered', [{ field: 'mode', from: null, to: 'enforce' }], true),
      answer(
        'updated',
        [
          { field: 'policy.window', from: '30m', to: '1h' },
          { field: 'holders.old.kind', from: 'polling', to: null },
        ],
        true,
      ),
    ];
    const { exit, stdout } = await applied(`version: 1\ncredentials:${ENTRY}${SECOND}`, '--dry-run');
    expect(exit).toBe(0);
    expect(api.seen.every(({ body }) => JSON.stringify(body).includes('"dryRun":true'))).toBe(true);
    expect(stdout).toContain('+ mode: enforce');
    expect(stdout).toContain('~ policy.window: 30m → 1h');
    expect(stdout).toContain('~ holders.old.kind: polling → (removed)');
    expect(stdout).toContain('Nothing was changed');
  });

  it.each(['--dry-run', '--json'])('tells what may be a mistake with its remedy (%s)', async (option) => {
    const notice = {
      field: 'target.ownerRole',
      message: 'no role "orders_ap"',
      remedy: 'check its spelling',
    };
    const body = { outcome: 'registered', dryRun: option === '--dry-run', changes: [], notices: [notice] };
    api.routes['POST /v1/credentials'] = [{ status: 200, body }, answer('registered')];
    const { exit, stdout } = await applied(`version: 1\ncredentials:${ENTRY}${SECOND}`, option);
    expect(exit).toBe(0);
    if (option === '--json')
      expect(JSON.parse(stdout)).toMatchObject({ credentials: [{ notices: [notice] }, {}] });
    else expect(stdout).toMatch(/orders-db[^]*! no role "orders_ap": check its spelling[^]*billing-db/);
  });

  it('lists all that the API refused at the end with file and line, and applies the rest', async () => {
    const refused = problemOf(
      new RekeyError('ERR_UNAVAILABLE', 'the target does not answer', {
        field: 'target.host',
        remedy: 'check it',
      }),
    );
    const document = { ...refused, status: 422 };
    api.routes['POST /v1/credentials'] = [
      { status: 422, body: document, type: 'application/problem+json' },
      answer('registered'),
    ];
    const { exit, stdout, stderr } = await applied(`version: 1\ncredentials:${ENTRY}${SECOND}`);
    expect(exit).toBe(1);
    expect(stdout).toContain('1 registered, 0 updated, 0 unchanged, 1 failed');
    expect(stderr).toMatch(
      /rekey\.yaml:8:15: the target does not answer[\s\S]*credentials\[0\]\.target\.host[\s\S]*check it/,
    );
  });

  it('lists every mistake that the API found in an entry, each with its line', async () => {
    const also = [new RekeyError('ERR_POLICY', 'too long', { field: 'secret', remedy: 'shorten' })];
    const body = problemOf(
      new RekeyError('ERR_DECLARATION', 'no such key', { field: 'target.hots', remedy: 'drop', also }),
    );
    api.routes['POST /v1/credentials'] = { status: 422, body, type: 'application/problem+json' };
    const text = `version: 1\ncredentials:${ENTRY}`;
    const { stdout, stderr } = await applied(text);
    expect(stdout).toContain('1 failed');
    expect(stderr).toMatch(
      /yaml:8:5: no such key[^]*\[0\]\.target\.hots[^]*yaml:6:5: too long[^]*\[0\]\.secret[^]*shorten/,
    );
    const machine = await applied(text, '--json');
    expect(JSON.parse(machine.stdout)).toMatchObject({
      credentials: [
        {
          outcome: 'failed',
          errors: [{ field: 'credentials[0].target.hots' }, { field: 'credentials[0].secret' }],
        },
      ],
    });
  });

  it('stops where the API is gone', async () => {
    api.routes['POST /v1/credentials'] = 'cut';
    const { exit, stdout } = await applied(`version: 1\ncredentials:${ENTRY}${SECOND}`);
    expect(exit).toBe(5);
    expect(stdout).toContain('1 failed, 1 not tried');
    expect(api.seen).toHaveLength(1);
  });

  it('blames the address, and no entry, where there is no such API', async () => {
    api.routes['POST /v1/credentials'] = { status: 404, body: { message: 'Not Found' } };
    const { exit, stderr } = await applied(`version: 1\ncredentials:${ENTRY}`);
    expect([exit, stderr]).toEqual([5, expect.stringMatching(/answered 404[^]*remedy: check the address/)]);
    expect(stderr).not.toMatch(/credentials\[0\]|rekey\.yaml:/);
  });

  it('prints machine-readable outcomes with --json', async () => {
    api.routes['POST /v1/credentials'] = answer('registered');
    const { stdout, stderr } = await applied(`version: 1\ncredentials:${ENTRY}`, '--json');
    expect(JSON.parse(stdout)).toEqual({
      dryRun: false,
      credentials: [
        {
          name: 'orders-db',
          outcome: 'registered',
          dryRun: false,
          changes: [],
          notices: [],
          keyless: { instead: expect.any(String), docs: 'docs/providers/README.md' },
        },
      ],
    });
    expect(stderr).toBe('');
  });
});

describe('a bad declaration file is refused before anything is sent', () => {
  it.each([
    ['bad YAML', 'version: 1\ncredentials:\n  - name: [', /rekey\.yaml:\d+:\d+: /],
    ['a duplicate key', `version: 1\nversion: 1\ncredentials:${ENTRY}`, /rekey\.yaml:2:1: .*unique/],
    ['an unknown version', `version: 2\ncredentials:${ENTRY}`, /rekey\.yaml:1:1: version/],
    [
      'an unknown type',
      `version: 1\ncredentials:${ENTRY.replace('database', 'mainframe')}`,
      /rekey\.yaml:4:5: unknown credential type "mainframe"[\s\S]*credentials\[0\]\.type[\s\S]*use one of/,
    ],
    ['a misspelt key', `version: 1\ncredentials:${ENTRY}    polcy: {}\n`, /rekey\.yaml:9:5: /],
    [
      'a window shorter than a ttl asks for',
      `version: 1\ncredentials:${ENTRY}    policy:\n      window: 15m\n    holders:\n      - { kind: polling, name: a, ttl: 15m }\n`,
      /rekey\.yaml:10:7: a window of 900 s[\s\S]*credentials\[0\]\.policy\.window[\s\S]*at least 1800 s/,
    ],
    [
      'an interval above the maximum',
      `version: 1\ncredentials:${ENTRY}    policy: { interval: 90d }\n`,
      /rekey\.yaml:9:15: an interval of 90 days[\s\S]*at most 30 days/,
    ],
    [
      'two entries of one name',
      `version: 1\ncredentials:${ENTRY}${ENTRY.replace('agents/orders', 'agents/other')}`,
      /rekey\.yaml:10:5: two entries have the name "orders-db"/,
    ],
    [
      'two entries of one secret',
      `version: 1\ncredentials:${ENTRY}${SECOND.replace('agents/billing', 'agents/orders')}`,
      /two entries have the secret/,
    ],
    ['nothing at all', '', /rekey\.yaml:1:1: this is no declaration/],
    ['a list', '- a\n', /rekey\.yaml:1:1: this is no declaration/],
    [
      'a file of something else, in one sentence',
      'name: x\ndependencies: {}\nscripts: {}\n',
      /^error .*:1:1: this is no declaration.*\n.*remedy: examples\/rekey\.yaml.*\n.*\n1 error in the file/,
    ],
    [
      'a value of another kind',
      `version: 1\ncredentials:${ENTRY}    mode: [enforce]\n`,
      /mode: use one of observe/,
    ],
    ['an unknown tag', `version: !boom 1\ncredentials:${ENTRY}`, /rekey\.yaml:1:10: /],
  ])('%s', async (_what, text, expected) => {
    const ran = await applied(text);
    expect(ran.stderr).toMatch(expected);
    expect(ran).toMatchObject({ exit: 1, stdout: '' });
    expect(api.seen).toEqual([]);
  });

  it('with every error at once', async () => {
    const bad = `version: 1\ncredentials:${ENTRY.replace('database', 'mainframe')}${SECOND.replace('postgresql', '[]')}`;
    const { stderr } = await applied(bad);
    expect(stderr).toMatch(/:4:5: [\s\S]*:12:5: [\s\S]*2 errors in the file; nothing was sent/);
    const machine = await applied(bad, '--json');
    expect(JSON.parse(machine.stderr)).toMatchObject({
      error: { field: 'credentials[0].type' },
      errors: [{ field: 'credentials[0].type' }, { field: 'credentials[1].provider' }],
    });
  });

  it('with the first of very many, and all of them for machines', async () => {
    const many = Array.from({ length: 15 }, (_each, index) => `    key${index}: 1\n`).join('');
    const bad = `version: 1\ncredentials:${ENTRY}${many}`;
    const { stderr } = await applied(bad);
    expect(stderr.match(/^error /gm)).toHaveLength(10);
    expect(stderr).toContain('15 errors in the file, of which these are the first 10 (--json has all)');
    const { errors } = JSON.parse((await applied(bad, '--json')).stderr) as { errors: unknown[] };
    expect(errors).toHaveLength(15);
  });

  it('with every error of one entry, its policy and its unknown keys among them', async () => {
    const bad = `version: 1\ncredentials:${ENTRY}    polcy: {}\n    mode: maybe\n    policy: { interval: 90d }\n${SECOND}`;
    const { stderr } = await applied(bad);
    expect(stderr).toMatch(
      /:9:5: [^]*polcy[^]*:10:5: [^]*mode[^]*:11:15: [^]*90 days[^]*3 errors in the file; nothing was sent/,
    );
    expect(api.seen).toEqual([]);
  });

  it('and so is one that is not there, as wrong usage', async () => {
    const ran = await rekey(api, ['apply', '-f', 'nowhere.yaml'], { cwd: folder });
    expect(ran.exit).toBe(2);
    expect(ran.stderr).toContain('there is no file nowhere.yaml');
  });

  it('and one that unfolds without end', async () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]'];
    for (const [one, next] of ['ab', 'bc', 'cd', 'de', 'ef'].map((pair) => pair.split(''))) {
      bomb.push(`${next}: &${next} [${Array.from({ length: 9 }, () => `*${one}`).join(', ')}]`);
    }
    const ran = await applied(bomb.join('\n'));
    expect(ran.exit).toBe(2);
    expect(api.seen).toEqual([]);
  });
});

describe('what is published', () => {
  it('docs/rekey.schema.json is what the code checks', async () => {
    const published: unknown = JSON.parse(
      await readFile(new URL('docs/rekey.schema.json', repository), 'utf8'),
    );
    expect(published, 'node cli/schema.ts > docs/rekey.schema.json && npm run format').toEqual(
      declarationJsonSchema(),
    );
  });

  it('examples/keys.yaml is valid down to policies and targets, and has a root', async () => {
    const file = new URL('examples/keys.yaml', repository);
    const { roots, credentials } = parseDeclaration(parse(await readFile(file, 'utf8')));
    for (const entry of [...roots, ...credentials]) {
      resolvePolicy(entry.type, policyInput(entry), holdersOf(entry), Date.parse('2026-11-22'));
      (await providerFor(entry.type, entry.provider)).target(entry.target);
    }
    expect([roots, credentials].map((list) => list.map(({ name }) => name))).toEqual([
      ['openai-admin'],
      ['support-agent'],
    ]);
  });

  it('examples/identities.yaml registers as it stands: one of each kind, and a family', async () => {
    const file = new URL('examples/identities.yaml', repository);
    const { credentials, families } = parseDeclaration(parse(await readFile(file, 'utf8')));
    const home = { tenant: 'default', account: '111122223333', region: 'eu-central-1' };
    const options = { home, stage: 'prod', limits: {}, rotationFunction: String };
    const deps = { providerFor, clock: () => Date.parse('2026-11-22') };
    const drafts = await Promise.all(credentials.map(async (entry) => draftOf(deps, options, entry)));
    expect(drafts.map(({ name, type }) => [name, type])).toEqual([
      ['agent-signing', 'signing-key'],
      ['shop-token', 'agent-token'],
      ['shop-ca', 'certificate-authority'],
    ]);
    expect(families.map(familyTermsOf)).toMatchObject([
      { owner: 'sales-tools', grant: 'authorization_code' },
    ]);
  });

  it('examples/rekey.yaml is valid down to policies and targets', async () => {
    const content: unknown = parse(await readFile(new URL('examples/rekey.yaml', repository), 'utf8'));
    const { credentials } = parseDeclaration(content);
    for (const entry of credentials) {
      resolvePolicy(entry.type, policyInput(entry), holdersOf(entry), Date.parse('2026-11-22'));
      parseTarget(entry.target);
    }
    expect(credentials.map(({ name }) => name)).toEqual(['orders-db', 'payments-db', 'archive-db']);
    api.routes['POST /v1/credentials'] = answer('unchanged');
    const ran = await rekey(api, ['apply', '-f', new URL('examples/rekey.yaml', repository).pathname]);
    expect(ran.exit).toBe(0);
  });
});
