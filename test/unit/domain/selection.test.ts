import { describe, expect, it } from 'vitest';
import type { Credential } from '../../../shared/domain/credential.ts';
import { inOrderOfDanger, selectedBy, type DeclaredSelection } from '../../../shared/domain/selection.ts';
import { credentialOf } from '../api/fakes.ts';

const one = (name: string, changes: Partial<Credential> = {}): Credential =>
  credentialOf({
    id: `id-${name}`,
    name,
    secretName: `agents/${name}`,
    secretArn: `arn:${name}`,
    ...changes,
  });
const client = (name: string, fleet?: string) =>
  ({
    kind: 'client',
    name,
    principal: `arn:role/${name}`,
    ...(fleet === undefined ? {} : { fleet }),
  }) as const;
const polling = (name: string, agents = 1) => ({ kind: 'polling', name, ttlSeconds: 60, agents }) as const;
const names = (chosen: readonly { credential: { name: string } }[]): string[] =>
  chosen.map(({ credential }) => credential.name);

const credentials = [
  one('orders', { holders: [client('a', 'shop')] }),
  one('models', { type: 'llm-key', provider: 'openai', adminSecret: 'agents/boss', holders: [client('b')] }),
  one('search', { type: 'vector-database-key', provider: 'pinecone', holders: [polling('cron')] }),
  one('boss', {
    type: 'root',
    provider: 'openai-admin',
    adminSecret: 'agents/boss',
    holders: [polling('rekey')],
  }),
];
const pacts = [{ agent: 'a', credentials: [{ credential: 'models', delegates: ['b'] }] }];
const families = [{ name: 'crm', holders: [{ name: 'a' }] }];
const by = (selection: DeclaredSelection) => selectedBy(selection, { credentials, pacts, families });

describe('a selection', () => {
  it.each<[DeclaredSelection, string[], string[], string[]]>([
    [{ agent: 'a' }, ['models', 'orders'], [], ['crm']],
    [{ agent: 'b' }, ['models'], [], []],
    [{ agent: 'nobody' }, [], [], []],
    [{ fleet: 'shop' }, ['orders'], [], []],
    [{ fleet: 'cron' }, ['search'], [], []],
    [{ provider: 'openai' }, ['models'], [], []],
    [{ provider: 'openai-admin' }, ['boss'], [], []],
    [{ everything: true }, ['models', 'search', 'orders'], ['boss'], ['crm']],
    [{ agent: 'rekey', closure: true }, ['models'], ['boss'], []],
  ])('%o is what belongs to it; what administers others of it goes later', (selection, now, later, named) => {
    const found = by(selection);
    expect([names(found.chosen), names(found.later), found.families]).toEqual([now, later, named]);
    for (const { why } of [...found.chosen, ...found.later]) expect(why).not.toEqual([]);
  });

  it('tells what is not known of a closure only', () => {
    expect([by({ agent: 'a' }).unknown, by({ agent: 'a', closure: true }).unknown.length > 0]).toEqual([
      [],
      true,
    ]);
  });
});

it('all goes at once where each administers another: none could be first', () => {
  const round = [
    one('x', { type: 'root', adminSecret: 'agents/y' }),
    one('y', { type: 'root', adminSecret: 'agents/x' }),
  ];
  const { chosen, later } = selectedBy({ everything: true }, { credentials: round, pacts: [], families: [] });
  expect([names(chosen), later]).toEqual([['x', 'y'], []]);
});

it('of administrators that go later each goes after what it administers: without it that could not be ended', () => {
  const chain = [
    one('a-owner', { type: 'root', adminSecret: 'agents/a-owner' }),
    one('b-admin', { type: 'root', adminSecret: 'agents/a-owner' }),
    one('key', { type: 'llm-key', adminSecret: 'agents/b-admin' }),
  ];
  const { chosen, later } = selectedBy({ everything: true }, { credentials: chain, pacts: [], families: [] });
  expect([names(chosen), names(later)]).toEqual([['key'], ['b-admin', 'a-owner']]);
});

describe('the order of an emergency', () => {
  const policy = credentialOf().policy;
  const chosen = (name: string, changes: Partial<Credential>) => ({
    credential: one(name, changes),
    why: ['x'],
  });

  it('has an authority before the certificates that it has signed, which make no others', () => {
    const type = 'certificate-authority';
    const certificate = chosen('a-certificate', { type, provider: 'leaf' });
    const key = chosen('key', { type: 'cloud-key' });
    const authority = chosen('z-authority', { type, provider: 'x509' });
    expect(names(inOrderOfDanger([certificate, key, authority]))).toEqual([
      'z-authority',
      'key',
      'a-certificate',
    ]);
  });

  it('is by what makes others, opens a cloud, is taken from anywhere, and needs a way in first', () => {
    const types = ['database', 'llm-key', 'cloud-key', 'signing-key', 'root', 'oauth-client'];
    expect(names(inOrderOfDanger(types.map((type) => chosen(type, { type }))))).toEqual([
      'root',
      'signing-key',
      'cloud-key',
      'llm-key',
      'oauth-client',
      'database',
    ]);
  });

  it('is then by what writes, what is sensitive, and how few agents it stops', () => {
    const ordered = inOrderOfDanger([
      chosen('d', { policy: { ...policy, access: 'read', sensitivity: 'normal' } }),
      chosen('c', { policy: { ...policy, access: 'read', sensitivity: 'sensitive' } }),
      chosen('b', { holders: [polling('many', 40)] }),
      chosen('a', { holders: [polling('few', 2)] }),
    ]);
    expect(names(ordered)).toEqual(['a', 'b', 'c', 'd']);
  });
});
