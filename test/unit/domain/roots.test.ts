import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseDeclaration, parseEntry, holdersOf } from '../../../shared/domain/declaration.ts';
import { rootsCheck } from '../../../shared/domain/coverage.ts';
import { isRekeyError, type RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { ROOT_UPSTREAMS, stepsOf } from '../../../shared/domain/root-steps.ts';
import {
  dependantsOf,
  isOwnLogin,
  undeclaredRoots,
  type Administered,
} from '../../../shared/domain/roots.ts';
import { providerFor } from '../../../shared/providers/registry.ts';

const ARN = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:admin/shop-AbCdEf';
const CREDENTIAL = {
  name: 'shop',
  type: 'llm-key',
  provider: 'openai',
  secret: 'agents/shop',
  admin: 'admin/openai',
  target: { project: 'proj_1', serviceAccount: 'sa_1', label: 'shop' },
};
const ROOT = {
  name: 'openai-admin',
  provider: 'openai-admin',
  secret: 'admin/openai',
  owner: 'platform',
  scope: 'keys of one project',
  target: { label: 'rekey' },
};
const file = (...roots: object[]): object => ({ version: 1, credentials: [CREDENTIAL], roots });

function refusal(work: () => unknown): RekeyError {
  try {
    work();
  } catch (error) {
    if (isRekeyError(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('roots in a declaration file', () => {
  it('become credentials that exist, that administer themselves, and that Rekey holds', () => {
    const [entry] = parseDeclaration(file(ROOT)).roots;
    expect(entry).toEqual({
      name: 'openai-admin',
      type: 'root',
      provider: 'openai-admin',
      secret: 'admin/openai',
      admin: 'admin/openai',
      adopt: true,
      mode: 'enforce',
      target: { label: 'rekey' },
      policy: { interval: '30d' },
      root: { owner: 'platform', scope: 'keys of one project' },
    });
    expect(parseEntry(entry)).toEqual(entry);
    expect(holdersOf(parseEntry(entry))).toEqual([{ kind: 'polling', name: 'rekey', ttlSeconds: 300 }]);
  });

  it('may be administered by another, be observed only, and have holders beside Rekey', () => {
    const holders = [{ kind: 'polling', name: 'terraform', ttl: '15m' }];
    const [entry] = parseDeclaration(
      file({ ...ROOT, admin: 'admin/keeper', mode: 'observe', holders }),
    ).roots;
    expect(entry).toMatchObject({ admin: 'admin/keeper', mode: 'observe', policy: { interval: '90d' } });
    expect(holdersOf(parseEntry(entry)).map(({ name }) => name)).toEqual(['rekey', 'terraform']);
  });

  it('are observed where a person replaces them', () => {
    const [entry] = parseDeclaration(
      file({ ...ROOT, provider: 'by-hand', target: { upstream: 'openai' } }),
    ).roots;
    expect(entry).toMatchObject({ mode: 'observe', policy: { interval: '90d' } });
  });

  it.each<[string, object, string]>([
    ['no owner', { owner: undefined }, 'roots[0].owner'],
    ['no scope', { scope: '' }, 'roots[0].scope'],
    ['a type of their own', { type: 'llm-key' }, 'roots[0].type'],
    ['an interval of more than 90 days', { policy: { interval: '91d' } }, 'roots[0].policy.interval'],
    [
      'Rekey among the declared holders',
      { holders: [{ kind: 'manual', name: 'rekey' }] },
      'roots[0].holders',
    ],
    [
      'mode enforce where a person replaces them',
      { provider: 'by-hand', target: { upstream: 'openai' }, mode: 'enforce' },
      'roots[0].mode',
    ],
    ['the name of a credential', { name: 'shop' }, 'roots[0].name'],
    ['the secret of a credential', { secret: 'agents/shop' }, 'roots[0].secret'],
  ])('are refused with %s', (_what, changes, field) => {
    const check = { now: 0, limits: {} };
    expect(refusal(() => parseDeclaration(file({ ...ROOT, ...changes }), check))).toMatchObject({ field });
  });

  it('are refused with the same words where the API gets one of a person to enforce', () => {
    const by = { ...ROOT, provider: 'by-hand', target: { upstream: 'openai' } };
    const [entry] = parseDeclaration(file(by)).roots;
    const check = { now: 0, limits: {} };
    for (const changes of [{ mode: 'enforce' }, { mode: 'overlap' }, { mode: undefined, adopt: undefined }]) {
      expect(refusal(() => parseEntry({ ...entry, ...changes }, check))).toMatchObject({
        code: 'ERR_DECLARATION',
        field: 'mode',
        message: expect.stringContaining('a person replaces this root'),
      });
    }
    expect(parseEntry({ ...entry, mode: undefined }, check).provider).toBe('by-hand');
  });

  it('may stand in a file alone, and a file with neither roots nor credentials is refused', () => {
    expect(parseDeclaration({ version: 1, roots: [ROOT] })).toMatchObject({
      credentials: [],
      roots: [{ name: 'openai-admin' }],
    });
    for (const none of [{}, { roots: [] }])
      expect(refusal(() => parseDeclaration({ version: 1, ...none }))).toMatchObject({
        message: 'credentials: is missing; write a list',
        field: 'credentials',
      });
  });

  it('are not declared among credentials, and nothing else has owner and scope', () => {
    const root = { ...CREDENTIAL, type: 'root', root: { owner: 'a', scope: 'b' } };
    const declared = { version: 1, credentials: [root] };
    expect(refusal(() => parseDeclaration(declared))).toMatchObject({ field: 'credentials[0].type' });
    expect(refusal(() => parseEntry({ ...CREDENTIAL, type: 'root' })).field).toBe('type');
    expect(refusal(() => parseEntry({ ...root, type: 'llm-key' })).field).toBe('type');
  });
});

describe('a root of an upstream that Rekey does not rotate', () => {
  it.each([
    ['pinecone', 'pinecone'],
    ['unheard-of', 'other'],
  ])('is refused with the two ways that there are: %s', async (provider, upstream) => {
    await expect(providerFor('root', provider)).rejects.toMatchObject({
      field: 'provider',
      remedy: `Rekey rotates roots of: openai-admin, pinecone-service-account, postgresql-master; for this one write provider: by-hand with target.upstream: ${upstream}`,
    });
  });
});

describe('the pages about roots', () => {
  it('have the steps of every upstream', async () => {
    const text = await readFile(new URL('../../../docs/providers/by-hand.md', import.meta.url), 'utf8');
    const cells = [...text.matchAll(/^\| (`[^|]+`) /gm)].map(([, cell = '']) => cell);
    const listed = cells.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name = '']) => name));
    expect(listed.filter((each) => each !== 'upstream').toSorted()).toEqual(ROOT_UPSTREAMS.toSorted());
  });
});

describe('administrative secrets in use', () => {
  const one = (name: string, admin: string, type = 'llm-key', arn?: string): Administered => ({
    name,
    type,
    admin,
    secret: { name: type === 'root' ? 'admin/shop' : `agents/${name}`, arn },
  });

  it('are named with who uses them where no root is declared for them, by name or ARN', () => {
    const all = [one('b', 'admin/shop'), one('a', ARN), one('none', '')];
    expect(undeclaredRoots(all)).toEqual([{ secret: 'admin/shop', usedBy: ['a', 'b'] }]);
    expect(rootsCheck(all)).toMatchObject([{ state: 'warn', remedy: expect.stringContaining('roots:') }]);
  });

  it('are known by their root, whichever way either is written', () => {
    const byName = one('root', 'admin/shop', 'root');
    expect(undeclaredRoots([byName, one('a', ARN), one('b', 'admin/shop')])).toEqual([]);
    expect(undeclaredRoots([one('root', 'admin/shop', 'root', ARN), one('a', ARN)])).toEqual([]);
    expect(rootsCheck([byName])).toMatchObject([{ state: 'ok' }]);
    expect(dependantsOf(byName, [byName, one('b', 'admin/shop'), one('a', ARN)])).toEqual(['a', 'b']);
  });

  it('are RDS’s to rotate where RDS manages them', () => {
    const managed = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!cluster-0a1b-AbCdEf';
    expect(undeclaredRoots([one('a', managed)])).toEqual([]);
  });

  it.each(['llm-key/cohere', 'vector-database-key/chroma-cloud'])(
    'are none where they are a pool alone: %s',
    (key) => {
      const [type = '', provider = ''] = key.split('/');
      expect(undeclaredRoots([{ ...one('a', 'admin/pool', type), provider }])).toEqual([]);
      expect(undeclaredRoots([{ ...one('a', 'admin/pool', 'llm-key'), provider: 'anthropic' }])).toHaveLength(
        1,
      );
    },
  );

  it('are of no concern where nothing uses one', () => {
    expect(rootsCheck([one('none', '')])).toEqual([]);
  });

  it('are their own login where they name themselves', () => {
    const of = { secretName: 'admin/shop', secretArn: ARN };
    expect(
      [ARN, 'admin/shop', ARN.slice(0, -7), 'admin/keeper', ARN.replace('shop', 'keeper')].map(
        (adminSecret) => isOwnLogin({ ...of, adminSecret }),
      ),
    ).toEqual([true, true, true, false, false]);
    expect(isOwnLogin(of)).toBe(false);
  });
});

describe('a root that a person replaces', () => {
  it.each(['adminKey', 'managementKey', 'clientSecret', 'private_key', 'password', 'apiKey', 'hookToken'])(
    'has another value only where its %s is another, whatever stands beside that',
    async (field) => {
      const provider = await providerFor('root', 'by-hand');
      const of = (fields: object): string =>
        provider.secretPart(new Redacted(JSON.stringify(fields))).reveal();
      const before = of({ [field]: 'value-1', baseUrl: 'https://one.example' });
      expect(of({ note: 'edited', [field]: 'value-1' })).toBe(before);
      expect(of({ [field]: 'value-2', baseUrl: 'https://one.example' })).not.toBe(before);
    },
  );
});

describe('the steps of a person', () => {
  it.each(ROOT_UPSTREAMS)('end with a confirmation and the end of the former one: %s', (upstream) => {
    const steps = stepsOf(upstream, { name: 'shop-admin', secret: 'admin/shop' });
    expect(steps.at(-1)).toMatch(/^(end the former|take )/);
    expect(steps[1]).toContain('put-secret-value --secret-id admin/shop');
    expect(steps[2]).toContain('rekey confirm shop-admin');
  });

  it.each(['qdrant', 'qdrant-static', 'chroma'])(
    'rotate what was made from the former one before that ends: %s',
    (upstream) => {
      const steps = stepsOf(upstream, { name: 'vectors-admin', secret: 'admin/vectors' });
      expect(steps).toHaveLength(5);
      expect(steps[2]).toContain('rekey confirm');
      expect(steps[3]).toMatch(/^rotate every credential that uses it, and wait/);
      expect(steps[4]).toMatch(/^take (alt_api_key|the former token)/);
    },
  );

  it('make the key in use of a self-run Qdrant the second one first, so that no token dies', () => {
    expect(stepsOf('qdrant', { name: 'a', secret: 'b' })[0]).toContain('the key in use as alt_api_key');
  });

  it('are those of any upstream where another version knows it', () => {
    expect(stepsOf('of-tomorrow', { name: 'a', secret: 'b' })).toEqual(
      stepsOf('other', { name: 'a', secret: 'b' }),
    );
  });
});
