import { describe, expect, it } from 'vitest';
import { diffDeclared, type Declared } from '../../../shared/domain/declared-diff.ts';
import { resolvePolicy } from '../../../shared/domain/policy.ts';

const HOLDERS = [
  { kind: 'polling' as const, name: 'a', ttlSeconds: 60 },
  { kind: 'polling' as const, name: 'b', ttlSeconds: 120 },
];

function declared(changes: Partial<Declared> = {}): Declared {
  return {
    name: 'orders',
    type: 'database',
    provider: 'postgresql',
    secretName: 'agents/orders',
    adminSecret: 'admin',
    target: { host: 'db', port: 5432, tls: { mode: 'verify-full' }, users: ['u_a', 'u_b'] },
    mode: 'enforce',
    policy: resolvePolicy('database', {}, HOLDERS, 0),
    holders: HOLDERS,
    ...changes,
  };
}

describe('the difference between two declarations', () => {
  it('is nothing between equals, whatever the order of holders', () => {
    expect(diffDeclared(declared(), declared())).toEqual([]);
    expect(diffDeclared(declared(), declared({ holders: HOLDERS.toReversed() }))).toEqual([]);
  });

  it('names each field with its value before and after', () => {
    const after = declared({
      mode: 'overlap',
      target: { host: 'other', port: 5432, tls: { mode: 'verify-full' }, users: ['u_a', 'u_b'] },
    });
    expect(diffDeclared(declared(), after)).toEqual([
      { field: 'mode', from: 'enforce', to: 'overlap' },
      { field: 'target.host', from: 'db', to: 'other' },
    ]);
  });

  it('writes durations as declarations do', () => {
    const policy = resolvePolicy('database', { intervalSeconds: 7 * 86_400, soakSeconds: 90 }, HOLDERS, 0);
    expect(diffDeclared(declared(), declared({ policy }))).toEqual([
      { field: 'policy.interval', from: '30d', to: '7d' },
      { field: 'policy.soak', from: '5m', to: '90s' },
    ]);
  });

  it('names the fields of a target as its provider does, whose durations are in seconds', () => {
    const target = { authority: 'shop-ca', leafSeconds: 172_800 };
    const changes = diffDeclared(
      declared({ target }),
      declared({ target: { ...target, leafSeconds: 3600 } }),
    );
    expect(changes).toEqual([{ field: 'target.leafSeconds', from: '172800', to: '3600' }]);
  });

  it('shows what is new and what is gone', () => {
    const [first] = HOLDERS;
    const after = declared({
      holders: [...(first === undefined ? [] : [first]), { kind: 'polling', name: 'c', ttlSeconds: 5 }],
    });
    expect(diffDeclared(declared(), after)).toEqual([
      { field: 'holders.b.kind', from: 'polling', to: null },
      { field: 'holders.b.ttl', from: '2m', to: null },
      { field: 'holders.c.kind', from: null, to: 'polling' },
      { field: 'holders.c.ttl', from: null, to: '5s' },
    ]);
  });

  it('lists every field of a credential that is new', () => {
    const changes = diffDeclared(undefined, declared());
    expect(changes.every(({ from, to }) => from === null && to !== null)).toBe(true);
    expect(changes.map(({ field }) => field)).toEqual(
      expect.arrayContaining(['type', 'secret', 'admin', 'mode', 'target.host', 'policy.window']),
    );
  });
});
