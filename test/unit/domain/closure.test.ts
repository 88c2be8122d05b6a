import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closureOf, type Closure, type Known, type Reachable } from '../../../shared/domain/closure.ts';

const credential = (name: string, changes: Partial<Reachable> = {}): Reachable => ({
  id: `id-${name}`,
  name,
  type: 'llm-key',
  provider: 'openai',
  secretName: `agents/${name}`,
  holders: [],
  ...changes,
});
const client = (name: string, principal = `arn:role/${name}`) =>
  ({ kind: 'client', name, principal }) as const;
const pact = (agent: string, hands: Readonly<Record<string, readonly string[]>>) => ({
  agent,
  credentials: Object.entries(hands).map(([name, delegates]) => ({ credential: name, delegates })),
});
const known = (more: Partial<Known>): Known => ({ credentials: [], pacts: [], families: [], ...more });
const namesOf = ({ chosen }: Closure): string[] => chosen.map((one) => one.credential.name).toSorted();

describe('what a compromised agent reaches', () => {
  it('is what it holds and what its pact names, with the reasons, and nothing of others', () => {
    const { chosen } = closureOf(
      'a',
      known({
        credentials: [
          credential('mine', { holders: [client('a')] }),
          credential('named'),
          credential('other', { holders: [client('b')] }),
        ],
        pacts: [pact('a', { named: [] }), pact('b', { other: [] })],
      }),
    );
    expect(chosen.map(({ credential: { name }, why }) => [name, why])).toEqual([
      ['mine', ['a is declared as a holder']],
      ['named', ['the pact of a names it']],
    ]);
  });

  it('is all of its sub-agents as well, but nothing of who hands something to it', () => {
    const all = known({
      credentials: [
        credential('shared'),
        credential('subs', { holders: [client('sub')] }),
        credential('subsubs', { holders: [client('subsub')] }),
        credential('bosses', { holders: [client('boss')] }),
      ],
      pacts: [
        pact('boss', { shared: ['a'], bosses: [] }),
        pact('a', { shared: ['sub'] }),
        pact('sub', { subs: ['subsub'] }),
      ],
    });
    const found = closureOf('a', all);
    expect(namesOf(found)).toEqual(['shared', 'subs', 'subsubs']);
    expect(found.agents).toEqual(['a', 'sub', 'subsub']);
    expect(found.chosen.find(({ credential: { name } }) => name === 'shared')?.why).toEqual([
      'a hands it to sub',
      'boss hands it to a',
      'the pact of a names it',
    ]);
  });

  it('is the families whose client it could be, since their secret is one of what it reads', () => {
    const found = closureOf(
      'a',
      known({
        credentials: [
          credential('crm-client', { type: 'oauth-client', holders: [client('a')] }),
          credential('others-client', { type: 'oauth-client', holders: [client('b')] }),
        ],
        families: [
          { name: 'crm', holders: [{ name: 'b' }], clientSecret: 'agents/crm-client' },
          { name: 'others', holders: [{ name: 'b' }], clientSecret: 'agents/others-client' },
          { name: 'public', holders: [{ name: 'b' }] },
        ],
      }),
    );
    expect(found.families).toEqual(['crm']);
  });

  it('is what its role reads under another name', () => {
    const role = 'arn:role/shared';
    const found = closureOf(
      'a',
      known({
        credentials: [
          credential('mine', { holders: [client('a', role)] }),
          credential('same-role', {
            holders: [{ kind: 'polling', name: 'cron', ttlSeconds: 60, principal: role }],
          }),
          credential('other-role', { holders: [client('b')] }),
        ],
        families: [{ name: 'crm', holders: [{ name: 'cron', principal: role }] }],
      }),
    );
    expect([namesOf(found), found.families]).toEqual([['mine', 'same-role'], ['crm']]);
  });

  it.each(['agents/root', 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:agents/root-AbCdEf'])(
    'is all that is made with an administrative secret that it reads: %s',
    (adminSecret) => {
      const found = closureOf(
        'a',
        known({
          credentials: [
            credential('made', { adminSecret, holders: [client('b')] }),
            credential('made-with-that', { adminSecret: 'agents/made' }),
            credential('root', { type: 'root', adminSecret: 'agents/root', holders: [client('a')] }),
            credential('elsewhere', { adminSecret: 'agents/another' }),
          ],
        }),
      );
      expect(namesOf(found)).toEqual(['made', 'made-with-that', 'root']);
      expect(found.chosen[0]?.why).toEqual(['root administers it, and is reached']);
    },
  );

  it('says what is not known: who has no pact, and who reads an administrative secret that is no root', () => {
    const found = closureOf(
      'a',
      known({
        credentials: [
          credential('mine', { adminSecret: 'admin/openai', holders: [client('a')] }),
          credential('other', { adminSecret: 'admin/mistral', holders: [client('b')] }),
        ],
      }),
    );
    expect(found.unknown.slice(0, -1)).toEqual([
      'a has no pact: whether it hands anything on is not known',
      'who reads the administrative secret admin/openai is not known: it is not declared as a root',
    ]);
    expect(found.unknown.at(-1)).toContain('IAM policies');
  });
});

describe('what an agent reaches, whatever is declared,', () => {
  const agent = fc.constantFrom('a', 'b', 'c', 'd');
  const name = fc.constantFrom('k0', 'k1', 'k2', 'k3', 'k4');
  const role = fc.constantFrom('arn:role/1', 'arn:role/2', 'arn:role/3');
  const credentials = fc.uniqueArray(
    fc.record(
      {
        name,
        holders: fc.array(fc.record({ name: agent, principal: role }), { maxLength: 2 }),
        admin: fc.option(name, { nil: undefined }),
      },
      { requiredKeys: ['name', 'holders', 'admin'] },
    ),
    { selector: (one) => one.name, maxLength: 5 },
  );
  const pacts = fc.uniqueArray(
    fc.record({
      agent,
      credentials: fc.array(fc.record({ credential: name, delegates: fc.array(agent, { maxLength: 2 }) }), {
        maxLength: 3,
      }),
    }),
    { selector: (one) => one.agent, maxLength: 4 },
  );
  const world = fc.record({ credentials, pacts }).map((given) =>
    known({
      credentials: given.credentials.map((one) =>
        credential(one.name, {
          ...(one.admin === undefined ? {} : { adminSecret: `agents/${one.admin}` }),
          holders: one.holders.map((holder) => client(holder.name, holder.principal)),
        }),
      ),
      pacts: given.pacts,
    }),
  );

  /** The same, as the edges of a graph that are followed one by one. */
  function walked(start: string, { credentials: all, pacts: every }: Known): string[] {
    const edges: [string, string][] = [];
    for (const { agent: from, credentials: hands } of every) {
      for (const { credential: of, delegates } of hands) {
        edges.push([`agent ${from}`, `key ${of}`]);
        for (const to of delegates)
          edges.push([`agent ${from}`, `agent ${to}`], [`agent ${to}`, `key ${of}`]);
      }
    }
    for (const one of all) {
      for (const { name: holder, principal = '' } of one.holders) {
        edges.push([`agent ${holder}`, `key ${one.name}`], [`agent ${holder}`, `role ${principal}`]);
        edges.push([`role ${principal}`, `key ${one.name}`]);
      }
      if (one.adminSecret !== undefined)
        edges.push([`key ${one.adminSecret.slice('agents/'.length)}`, `key ${one.name}`]);
    }
    const there = new Set(all.map((one) => `key ${one.name}`));
    const seen = new Set([`agent ${start}`]);
    for (const at of seen)
      for (const [from, to] of edges)
        if (from === at && (!to.startsWith('key ') || there.has(to))) seen.add(to);
    return [...seen]
      .filter((each) => each.startsWith('key '))
      .map((each) => each.slice(4))
      .toSorted();
  }

  it('is what can be walked to from the agent, each with a reason', () => {
    fc.assert(
      fc.property(world, agent, (all, of) => {
        const found = closureOf(of, all);
        expect(namesOf(found)).toEqual(walked(of, all));
        for (const { why } of found.chosen) expect(why).not.toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it('holds all that any agent in it reaches, and does not go by the order of what is known', () => {
    fc.assert(
      fc.property(world, agent, (all, of) => {
        const found = closureOf(of, all);
        for (const other of found.agents)
          expect(namesOf(found)).toEqual(expect.arrayContaining(namesOf(closureOf(other, all))));
        const turned = { ...all, credentials: all.credentials.toReversed(), pacts: all.pacts.toReversed() };
        const again = closureOf(of, turned);
        expect([namesOf(again), again.agents, again.unknown]).toEqual([
          namesOf(found),
          found.agents,
          found.unknown,
        ]);
        expect(again.chosen.toReversed().map(({ why }) => why)).toEqual(found.chosen.map(({ why }) => why));
      }),
      { numRuns: 500 },
    );
  });
});
