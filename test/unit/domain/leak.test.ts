import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import {
  candidatesOf,
  lastKnown,
  MAX_LEAKED_BYTES,
  standingOf,
  worstOf,
  type KnownKey,
} from '../../../shared/domain/leak.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { credentialOf, ID } from '../api/fakes.ts';

const PASSWORD = 'kR4tq8ZpLw0vYx2sNe6uHd1gBj9fCm3aTi7oQ5Xl';
const of = (text: string): string => fingerprint(new Redacted(text));
const candidates = (text: string): string[] => candidatesOf(new Redacted(text));

describe('a leaked text is known by the fingerprint of its secret part', () => {
  it.each([
    ['the bare password', PASSWORD],
    ['with the newline of echo', `${PASSWORD}\n`],
    ['with the newline of Windows', `${PASSWORD}\r\n`],
    ['with blanks around it', `  ${PASSWORD}\t\n`],
    ['quoted', JSON.stringify(PASSWORD)],
    ["the secret's JSON", JSON.stringify({ engine: 'postgres', username: 'orders_a', password: PASSWORD })],
    ['the same, printed nicely', JSON.stringify({ host: 'db', password: PASSWORD, port: 5432 }, null, 2)],
    ['deeper in some JSON', JSON.stringify({ env: [{ name: 'PGPASSWORD', value: PASSWORD }] })],
    ['a connection URI', `postgres://orders_a:${PASSWORD}@db.internal:5432/orders?sslmode=verify-full`],
    ['a line of an environment file', `DATABASE_URL=postgresql://orders_a:${PASSWORD}@db.internal/orders`],
    ['the same, of the password alone', `DB_HOST=db.internal\nexport PGPASSWORD='${PASSWORD}'\nDB_USER=a`],
    ['a line of YAML', `user: orders_a\n  password: ${PASSWORD}\n`],
    ['a line out of some JSON', `  "password": "${PASSWORD}",`],
    ['what libpq takes', `host=db.internal user=orders_a password=${PASSWORD} dbname=orders`],
    ['a URI within JSON', JSON.stringify({ url: `postgres://orders_a:${PASSWORD}@db.internal/orders` })],
    ['a variable of an environment file', `PGPASSWORD=${PASSWORD}`],
    ['a quoted one, exported', `export PGPASSWORD='${PASSWORD}'; psql`],
    ['a line among others', `seen in the chat of today:\n${PASSWORD}\n`],
    [
      'a parameter of a URI',
      `jdbc:postgresql://db.internal/orders?user=orders_a&password=${PASSWORD}&ssl=true`,
    ],
  ])('%s', (_what, text) => {
    expect(candidates(text)).toContain(of(PASSWORD));
  });

  it('that is a private key of several lines, with the break at its end or without', () => {
    const pem = `-----BEGIN PRIVATE KEY-----\n${PASSWORD}\n${PASSWORD}\n-----END PRIVATE KEY-----\n`;
    for (const text of [pem, pem.trim(), JSON.stringify({ type: 'service_account', private_key: pem })])
      expect(candidates(text)).toContain(of(pem));
  });

  it('that a person chose with signs that a URI wants encoded, written either way', () => {
    const chosen = 'p@ss:w/rd#1?';
    expect(candidates(`postgres://user:${encodeURIComponent(chosen)}@db/orders`)).toContain(of(chosen));
    expect(candidates(`postgres://user:${chosen}@db/orders`)).toContain(of(chosen));
    expect(candidates('postgres://user:100%@db/orders')).toContain(of('100%'));
  });

  it('and never by what only describes it: a name that is somebody else’s password revokes nothing', () => {
    const text = JSON.stringify({ engine: 'postgres', host: 'h', username: 'u', dbname: 'd', password: 'p' });
    const found = candidates(text);
    for (const word of ['postgres', 'h', 'u', 'd']) expect(found).not.toContain(of(word));
    expect(candidates('postgres://alice@db.internal/orders')).not.toContain(of('alice'));
    expect(candidates('host=h user=alice dbname=d password=p')).not.toContain(of('alice'));
    expect(candidates('DB_USER=alice\nDB_PASSWORD=p\nDB_NAME=d')).not.toContain(of('alice'));
  });

  it.each([
    ['nothing', ''],
    ['an empty line', ' \n'],
  ])('%s is refused, with how to pipe it', (_what, text) => {
    expect(() => candidates(text)).toThrow(expect.objectContaining({ code: 'ERR_REQUEST' }));
  });

  it('what no secret can be is refused without a word of it, in a message or in a look at the error', () => {
    const many = JSON.stringify(Array.from({ length: 60 }, (_each, index) => `${PASSWORD}${index}`));
    const deep = '['.repeat(MAX_LEAKED_BYTES / 2) + ']'.repeat(MAX_LEAKED_BYTES / 2);
    expect(candidates(deep).length).toBeGreaterThan(0);
    for (const text of [PASSWORD.repeat(2000), many]) {
      let refusal: unknown;
      try {
        candidates(text);
      } catch (error) {
        refusal = error;
      }
      expect(refusal).toMatchObject({ code: 'ERR_REQUEST', field: '--leaked' });
      expect(inspect(refusal, { depth: null })).not.toContain(PASSWORD);
    }
  });
});

describe('a key that is known', () => {
  const handle = { id: 'orders_a', generation: 3 };
  const key: KnownKey = {
    credentialId: ID,
    handle,
    versionId: 'v',
    fingerprint: of(PASSWORD),
    issuedAt: '2026-11-01T00:00:00.000Z',
  };
  const standing = (changes: Parameters<typeof credentialOf>[0]) =>
    standingOf(key, credentialOf(changes), 'this-emergency');

  it('is live as long as its handle may work, with its generation', () => {
    expect(
      standing({
        live: [
          { id: 'orders_b', generation: 4 },
          { ...handle, token: 't' },
        ],
      }),
    ).toBe('live');
    expect(standing({ live: [{ id: 'orders_a', generation: 5 }] })).toBe('ended');
    expect(standing({ live: [] })).toBe('ended');
  });

  it('is live where its value is current under another handle, as a version without fingerprints takes it over', () => {
    const later = { id: 'orders_a', generation: 9 };
    const current = { ...key, handle: later };
    expect(standing({ current, live: [later] })).toBe('live');
    expect(standing({ current, live: [] })).toBe('ended');
    expect(standing({ current: { ...current, fingerprint: of('another') }, live: [later] })).toBe('ended');
  });

  it('of a credential that is only observed is for a person to end, whatever else is known', () => {
    expect(standing({ adoption: 'observed', live: [] })).toBe('observed');
    expect(standing({ adoption: 'intended', live: [handle] })).toBe('live');
  });

  it('is still live for the emergency that ends it, so that a repeated report has the same answer', () => {
    const incident = { id: 'INC', stage: 'resumed', generation: 4, replacement: 'r' } as const;
    expect(standing({ live: [], incident: { ...incident, execution: 'this-emergency' } })).toBe('live');
    expect(standing({ live: [], incident: { ...incident, execution: 'another' } })).toBe('ended');
  });

  it('of a credential that was taken out of Rekey is beyond its reach', () => {
    expect(standingOf(key, undefined, 'this-emergency')).toBe('gone');
  });

  it('of a former credential tells what its head knew last', () => {
    const last = (changes: Parameters<typeof credentialOf>[0]): string =>
      lastKnown(key, credentialOf({ status: 'unregistered', ...changes }));
    expect(last({ live: [handle] })).toContain('may have worked when');
    expect(last({ live: [{ ...handle, generation: 5 }] })).toContain('had been ended');
    expect(last({ live: [], adoption: 'observed' })).toContain('has not ended it');
    expect(lastKnown(key, undefined)).toContain('audit trail');
  });

  it('among several decides by what a person has to do most', () => {
    expect(worstOf([])).toBe('not-ours');
    expect(worstOf(['dead', 'live'])).toBe('live');
    expect(worstOf(['live', 'observed', 'dead'])).toBe('observed');
    expect(worstOf(['live', 'not-confirmed', 'observed'])).toBe('not-confirmed');
  });
});

describe('a text made to take long', () => {
  it.each([
    ['schemes', '://'],
    ['parameters', '://x?'],
    ['names of secrets', 'key'],
    ['names of secrets with a sign', 'password: '],
    ['users', '://a:b@'],
  ])('of nothing but %s is read in a moment', (_what, part) => {
    const text = part.repeat(Math.floor(60_000 / part.length));
    for (const each of [text, JSON.stringify({ found: text }), `@${text}`]) {
      const began = performance.now();
      try {
        candidatesOf(new Redacted(each));
      } catch {
        // More than one secret can hold: refused, and as fast.
      }
      expect(performance.now() - began).toBeLessThan(1000);
    }
  });
});
