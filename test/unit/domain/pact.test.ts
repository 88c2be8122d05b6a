import fc from 'fast-check';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { keptUntil } from '../../../shared/domain/agents.ts';
import { cycleIn, delegationsOf, type Delegations } from '../../../shared/domain/delegation.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import {
  assertBearable,
  nextVersion,
  pactJsonSchema,
  parsePact,
  type PactTerms,
} from '../../../shared/domain/pact.ts';
import { isPrincipal } from '../../../shared/domain/principal.ts';
import { CALLER, holder, pactOf, PRINCIPAL, SIBLING } from '../../support/agent-api.ts';
import { credentialOf } from '../api/fakes.ts';

/** Fields and codes of all that is wrong. */
function mistakes(check: () => unknown): [code: string, field: string | undefined, message: string][] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof RekeyError)) throw error;
    return [error, ...error.also].map(({ code, field, message }) => [code, field, message]);
  }
}
const terms = (changes: object = {}, about: object = {}): PactTerms => parsePact(pactOf(changes, about));
const declared = (changes: object = {}) =>
  new Map([['orders-db', credentialOf({ holders: [holder(), holder('search', PRINCIPAL)], ...changes })]]);

describe('the form of a pact', () => {
  it('is read with its durations in seconds and its defaults', () => {
    expect(terms()).toEqual({
      agent: 'checkout',
      credentials: [
        {
          credential: 'orders-db',
          refresh: 'in-session',
          ttlSeconds: 900,
          staleLimitSeconds: 3600,
          uses: 'reported',
          delegates: [],
        },
      ],
      checkpoint: false,
      sessionLimitSeconds: 28_800,
    });
  });

  it('is refused with every mistake by its field', () => {
    const wrong = pactOf(
      { version: 2, agent: 'a#b', colour: 'red' },
      { ttl: '15', uses: 'often', tll: '1m' },
    );
    expect(mistakes(() => parsePact(wrong)).map(([code, field]) => [code, field])).toEqual([
      ['ERR_PACT', 'credentials[0].tll'],
      ['ERR_PACT', 'colour'],
      ['ERR_PACT', 'version'],
      ['ERR_PACT', 'agent'],
      ['ERR_PACT', 'credentials[0].ttl'],
      ['ERR_PACT', 'credentials[0].uses'],
    ]);
  });

  it('may say how many uses are to be expected; of uses that nobody reports, nothing', () => {
    expect(terms({}, { usesPerHour: 500 }).credentials[0]).toMatchObject({ usesPerHour: 500 });
    expect(mistakes(() => terms({}, { usesPerHour: 0 }))).toMatchObject([
      ['ERR_PACT', 'credentials[0].usesPerHour', expect.any(String)],
    ]);
    expect(mistakes(() => terms({}, { usesPerHour: 5, uses: 'unreported' }))).toMatchObject([
      ['ERR_PACT', 'credentials[0].usesPerHour', expect.any(String)],
    ]);
    const by = { actor: CALLER, now: 0 };
    const first = nextVersion(terms(), undefined, by);
    expect(nextVersion(terms({}, { usesPerHour: 500 }), first, by)).toMatchObject({ version: 2 });
  });

  it('contradicts itself by a stale limit below the ttl, an agent that hands to itself, names twice', () => {
    const about = { staleLimit: '14m', delegates: ['checkout', 'search', 'search'] };
    expect(mistakes(() => terms({}, about)).map(([, field]) => field)).toEqual([
      'credentials[0].staleLimit',
      'credentials[0].delegates',
      'credentials[0].delegates',
    ]);
  });

  it('names no session without an end: one that is remembered beyond the year 9999 would count for nothing', () => {
    const limited = (sessionLimit: string): PactTerms => terms({ sessionLimit });
    expect(() => limited('31d')).toThrow(
      expect.objectContaining({ code: 'ERR_PACT', field: 'sessionLimit' }),
    );
    const now = '2026-01-01T00:00:00.000Z';
    expect(keptUntil(now, limited('30d'))).toBe('2026-01-31T00:03:00.000Z');
    // Opened under a longer one, or under a shorter one.
    expect(keptUntil(now, limited('1h'), limited('30d'))).toBe('2026-01-31T00:03:00.000Z');
    expect(keptUntil(now, limited('30d'), limited('1h'))).toBe('2026-01-31T00:03:00.000Z');
  });

  it('is that of examples/pact.yaml, and of what docs/agents.md shows', async () => {
    const read = (path: string) => readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
    expect(parsePact(parse(await read('examples/pact.yaml')))).toMatchObject({ agent: 'checkout' });
    const [, indented = ''] = /## Pact\n[^]*?\n\n((?: {4}.*\n)+)/.exec(await read('docs/agents.md')) ?? [];
    expect(parsePact(parse(indented))).toMatchObject({ agent: 'checkout', sessionLimitSeconds: 28_800 });
  });

  it('is published as docs/pact.schema.json', async () => {
    const published: unknown = JSON.parse(
      await readFile(new URL('../../../docs/pact.schema.json', import.meta.url), 'utf8'),
    );
    expect(published, 'node scripts/agent-schemas.ts && npm run format').toEqual(
      JSON.parse(JSON.stringify(pactJsonSchema())),
    );
  });
});

describe('what the declaration bears', () => {
  it('is a pact of a declared holder, by its own role or by an operator', () => {
    expect(mistakes(() => assertBearable(terms(), declared(), CALLER))).toEqual([]);
    expect(mistakes(() => assertBearable(terms(), declared()))).toEqual([]);
  });

  it('is nothing for another role, who learns of nothing else', () => {
    expect(mistakes(() => assertBearable(terms({}, { ttl: '59m' }), declared(), SIBLING))).toMatchObject([
      ['ERR_FORBIDDEN', 'agent', expect.any(String)],
    ]);
  });

  it('is no credential that does not exist, or does not name the agent, told apart to nobody', () => {
    const unknown = mistakes(() => assertBearable(terms(), new Map(), CALLER));
    const foreign = mistakes(() => assertBearable(terms(), declared({ holders: [] }), CALLER));
    expect(unknown).toEqual(foreign);
    expect(unknown).toMatchObject([['ERR_PACT', 'credentials[0].credential', expect.any(String)]]);
    const polling = { holders: [{ kind: 'polling', name: 'checkout', ttlSeconds: 60 }] };
    expect(mistakes(() => assertBearable(terms(), declared(polling)))).toEqual(foreign);
  });

  it('Z2: is a ttl of half of the window at most, and a stale limit up to its cap; both figures are named', () => {
    const of = (about: object) => mistakes(() => assertBearable(terms({}, about), declared()));
    expect(of({ ttl: '900s', staleLimit: '14400s' })).toEqual([]);
    expect(of({ ttl: '901s' })).toMatchObject([
      ['ERR_PACT', 'credentials[0].ttl', expect.stringMatching(/901 s.*1800 s/)],
    ]);
    expect(of({ staleLimit: '14401s' })).toMatchObject([
      ['ERR_PACT', 'credentials[0].staleLimit', expect.stringMatching(/14401 s.*14400 s/)],
    ]);
  });

  it('is a delegate that holds the same credential', () => {
    const delegates = ['search', 'stranger'];
    expect(mistakes(() => assertBearable(terms({}, { delegates }), declared()))).toMatchObject([
      ['ERR_PACT', 'credentials[0].delegates[1]', expect.any(String)],
    ]);
  });
});

describe('versions', () => {
  const at = { actor: CALLER, now: 0 };

  it('are raised by what changes something, and by nothing else', () => {
    const first = nextVersion(terms(), undefined, at);
    expect(first).toMatchObject({ version: 1, actor: CALLER, registeredAt: '1970-01-01T00:00:00.000Z' });
    expect(nextVersion(terms({}, { delegates: [] }), first, { actor: SIBLING, now: 9 })).toBeUndefined();
    expect(nextVersion(terms({ checkpoint: true }), first, at)).toMatchObject({ version: 2 });
  });
});

describe('who a caller is', () => {
  it('is a session of the role whatever its path, or the user itself', () => {
    expect(isPrincipal(CALLER, PRINCIPAL)).toBe(true);
    expect(isPrincipal(CALLER, 'arn:aws:iam::111122223333:role/checkout')).toBe(true);
    const user = 'arn:aws:iam::111122223333:user/checkout';
    expect(isPrincipal(user, user)).toBe(true);
  });

  it('is nobody of another account, partition, role or kind', () => {
    for (const principal of [
      'arn:aws:iam::999922223333:role/checkout',
      'arn:aws-cn:iam::111122223333:role/checkout',
      'arn:aws:iam::111122223333:role/checkout/other',
      'arn:aws:iam::111122223333:role/a-checkout',
      'arn:aws:iam::111122223333:user/checkout',
    ])
      expect([principal, isPrincipal(CALLER, principal)]).toEqual([principal, false]);
    expect(isPrincipal('arn:aws:sts::111122223333:assumed-role/other/checkout', PRINCIPAL)).toBe(false);
    expect(isPrincipal('arn:aws:iam::111122223333:user/x', 'arn:aws:iam::111122223333:user/y')).toBe(false);
  });
});

describe('delegation', () => {
  const agents = ['a', 'b', 'c', 'd', 'e', 'f'];
  const graph = fc
    .array(fc.tuple(fc.constantFrom(...agents), fc.constantFrom(...agents)), { maxLength: 14 })
    .map(
      (ways): Delegations =>
        new Map(
          agents.map(
            (agent) => [agent, ways.filter(([from]) => from === agent).map(([, to]) => to)] as const,
          ),
        ),
    );
  /** The plain way: who is reached from whom, until nothing new is. */
  const reaches = (delegations: Delegations, from: string, seen = new Set<string>()): Set<string> => {
    for (const to of delegations.get(from) ?? []) if (!seen.has(to)) reaches(delegations, to, seen.add(to));
    return seen;
  };

  it('has a circle where, and only where, an agent is reached from itself', () => {
    fc.assert(
      fc.property(graph, (delegations) => {
        const round = agents.some((agent) => reaches(delegations, agent).has(agent));
        expect(cycleIn(delegations) !== undefined).toBe(round);
      }),
    );
  });

  it('names a circle that exists, step by step, each agent once and the first again at its end', () => {
    fc.assert(
      fc.property(graph, (delegations) => {
        const cycle = cycleIn(delegations) ?? [];
        cycle.slice(1).forEach((to, index) => {
          expect(delegations.get(cycle[index] ?? '')).toContain(to);
        });
        expect(cycle.at(-1)).toBe(cycle[0]);
        expect(new Set(cycle).size).toBe(Math.max(0, cycle.length - 1));
      }),
    );
  });

  it('is of one credential: two halves of a circle over two credentials are none', () => {
    const pacts = [
      terms({}, { delegates: ['search'] }),
      terms({ agent: 'search' }, { credential: 'other', delegates: ['checkout'] }),
    ];
    expect(cycleIn(delegationsOf(pacts, 'orders-db'))).toBeUndefined();
    expect(cycleIn(delegationsOf(pacts, 'other'))).toBeUndefined();
  });
});
