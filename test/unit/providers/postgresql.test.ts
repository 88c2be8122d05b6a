import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { assertPlace, parseAdmin } from '../../../shared/providers/postgresql/admin.ts';
import { assertFree, chooseSlot } from '../../../shared/providers/postgresql/activate.ts';
import { quote, toRekeyError } from '../../../shared/providers/postgresql/failures.ts';
import { newMaterial, newPassword, parseMaterial } from '../../../shared/providers/postgresql/material.ts';
import { nameUse } from '../../../shared/providers/postgresql/name-use.ts';
import { postgresqlProvider } from '../../../shared/providers/postgresql/provider.ts';
import { scramVerifier } from '../../../shared/providers/postgresql/scram.ts';
import {
  assertToken,
  markText,
  parseMark,
  type Mark,
  type Role,
  type Roles,
} from '../../../shared/providers/postgresql/slots.ts';
import { parseTarget, readTarget } from '../../../shared/providers/postgresql/target.ts';
import { providerFor } from '../../../shared/providers/registry.ts';

const input = { host: 'db.internal', database: 'app', ownerRole: 'agents' };
const target = parseTarget(input);

function failureOf(action: () => unknown): RekeyError {
  try {
    action();
  } catch (error) {
    if (error instanceof RekeyError) return error;
  }
  throw new Error('expected a RekeyError');
}

describe('a PostgreSQL target', () => {
  it('is completed with port, users and full TLS verification', () => {
    expect(target).toEqual({
      ...input,
      port: 5432,
      users: ['agents_a', 'agents_b'],
      tls: { mode: 'verify-full' },
    });
    expect(parseTarget(JSON.parse(JSON.stringify(target)))).toEqual(target);
    const ca = '-----BEGIN CERTIFICATE-----';
    expect(parseTarget({ ...input, tls: { ca } }).tls).toEqual({ mode: 'verify-full', ca });
  });

  it.each([
    ['target.host', { host: '' }],
    ['target.host', { host: 'user:secret@host/db' }],
    ['target.host', { host: 'agents.proxy-abc123.eu-central-1.rds.amazonaws.com' }],
    ['target.port', { port: 70_000 }],
    ['target.database', { database: undefined }],
    ['target.ownerRole', { ownerRole: 'pg_agents' }],
    ['target.ownerRole', { ownerRole: 'ü'.repeat(32) }],
    ['target.users', { ownerRole: 'x'.repeat(62) }],
    ['target.users', { users: ['same', 'same'] }],
    ['target.users', { users: ['agents', 'other'] }],
    ['target.users[1]', { users: ['one', 'two\n'] }],
    ['target.ownerRole', { ownerRole: 'age\u2028nts' }],
    ['target.connectionLimit', { connectionLimit: 0 }],
    ['target.tls.reason', { tls: { mode: 'disable', reason: ' ' } }],
    ['target.tls.mode', { tls: { mode: 'prefer' } }],
    ['target.tls.ca', { tls: { mode: 'verify-full', ca: '/etc/ca.pem' } }],
    ['target.sslmode', { sslmode: 'require' }],
  ])('is refused with the field %s: %j', (field, change) => {
    const error = failureOf(() => parseTarget({ ...input, ...change }));
    expect({ code: error.code, field: error.field }).toEqual({ code: 'ERR_DECLARATION', field });
    expect(error.remedy).not.toBe('');
  });

  it('is refused with all of its mistakes, each with its field', () => {
    const error = failureOf(() => parseTarget({ ...input, sslmode: 'require', port: 0, database: '' }));
    expect([error, ...error.also].map(({ field }) => field)).toEqual([
      'target.sslmode',
      'target.port',
      'target.database',
    ]);
    for (const { remedy } of [error, ...error.also]) expect(remedy).toContain('docs/cli.md');
  });

  it('trap: at an RDS Proxy is refused at registration, with what clashes', () => {
    const host = 'agents.proxy-abc123.eu-central-1.rds.amazonaws.com';
    const error = failureOf(() => parseTarget({ ...input, host }));
    expect(error).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.host' });
    expect(`${error.message} ${error.remedy}`).toMatch(/RDS Proxy/);
  });

  it('may name its users, an authority of its own, or plaintext with a reason', () => {
    const tls = { mode: 'disable', reason: 'inside one host' } as const;
    expect(parseTarget({ ...input, users: ['one', 'two'], tls })).toMatchObject({
      users: ['one', 'two'],
      tls,
    });
  });
});

describe('a PostgreSQL target from the ledger', () => {
  const newer = {
    ...target,
    connectionLimit: 7,
    failover: { host: 'db-2.internal' },
    tls: { mode: 'verify-full', ca: '-----BEGIN CERTIFICATE-----', pins: ['sha256:1'] },
  };

  it('is read without the fields of a newer version, which a declaration may not have', () => {
    expect(readTarget(newer)).toEqual({
      ...target,
      connectionLimit: 7,
      tls: { mode: 'verify-full', ca: '-----BEGIN CERTIFICATE-----' },
    });
    expect(failureOf(() => parseTarget(newer)).code).toBe('ERR_DECLARATION');
  });

  it('is completed where an older version knew fewer fields', () => {
    expect(readTarget(input)).toEqual(target);
  });

  it('stays good where it was declared before a rule came', () => {
    const host = 'agents.proxy-abc123.eu-central-1.rds.amazonaws.com';
    expect(readTarget({ ...input, host }).host).toBe(host);
  });

  it.each([
    ['target.host', { host: undefined }],
    ['target.tls.mode', { tls: { mode: 'newer than this' } }],
  ])('is refused where %s is not what this version can work with', (field, change) => {
    expect(failureOf(() => readTarget({ ...input, ...change }))).toMatchObject({ field });
  });
});

describe('the place of the administrative secret', () => {
  const login = { username: 'boss', password: 'canary' };
  const place = (secret: object) => () =>
    assertPlace(new Redacted(JSON.stringify({ ...login, ...secret })), target);

  it.each<[string, object]>([
    ['names no host', {}],
    ['names the host of the target', { host: 'db.internal', port: 5432 }],
    ['names it in another spelling', { host: 'DB.internal.', port: '5432' }],
    ['allows the host', { allowedHosts: ['other.internal', 'db.internal'] }],
    ['allows all hosts of the domain', { allowedHosts: ['*.internal'] }],
    [
      'allows the host, whatever it names',
      { host: 'primary.internal', port: 6432, allowedHosts: ['db.internal'] },
    ],
  ])('is the target where the secret %s', (_what, secret) => {
    expect(place(secret)).not.toThrow();
  });

  it.each<[string, string, object]>([
    ['names another host', 'target.host', { host: 'db.internal.example' }],
    ['names another port', 'target.port', { host: 'db.internal', port: 6432 }],
    ['names another port as text', 'target.port', { port: '6432' }],
    ['allows other hosts only', 'target.host', { host: 'db.internal', allowedHosts: ['other.internal'] }],
    ['allows another domain', 'target.host', { allowedHosts: ['*.b.internal', '*.db.internal'] }],
    ['allows a domain whose name only ends so', 'target.host', { allowedHosts: ['*.nal'] }],
    ['allows none', 'target.host', { allowedHosts: [] }],
  ])('is not the target where the secret %s, and nothing of it is told', (_what, field, secret) => {
    const error = failureOf(place(secret));
    expect(error).toMatchObject({ code: 'ERR_DECLARATION', field, remedy: expect.stringMatching(/declare/) });
    expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toMatch(/canary|example|other|6432/);
  });

  it.each([{ allowedHosts: 'db.internal' }, { allowedHosts: ['*'] }, { host: '' }, { port: 'all' }])(
    'is never guessed: %j',
    (secret) => {
      expect(failureOf(place(secret))).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH', field: 'admin' });
    },
  );

  it('is checked before anything is sent', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const preflight = async (secret: object): Promise<unknown> =>
      postgresqlProvider.preflight(parseTarget({ ...input, host: '127.0.0.1', port }), {
        clock: Date.now,
        reach: { privateHosts: [] },
        admin: async () => new Redacted(JSON.stringify({ ...login, ...secret })),
      });
    try {
      await expect(preflight({ host: 'db.internal' })).rejects.toMatchObject({ field: 'target.host' });
      expect(connections).toBe(0);
      await expect(preflight({})).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
      expect(connections).toBe(1);
    } finally {
      server.close();
    }
  });
});

describe('PostgreSQL material', () => {
  it('has a password of at least 190 bits that is safe in a connection string', () => {
    const passwords = Array.from({ length: 200 }, newPassword);
    expect(new Set(passwords).size).toBe(200);
    for (const password of passwords) expect(password).toMatch(/^[A-Za-z0-9]{40}$/);
    expect(40 * Math.log2(62)).toBeGreaterThan(190);
    // Every character of the alphabet turns up: none is missing from the draw.
    expect(new Set(passwords.join('')).size).toBe(62);
  });

  it('never quotes what it refuses', () => {
    for (const text of ['{"password":"canary"', '{"password":"canary"}', '"canary"', 'canary']) {
      for (const parse of [parseMaterial, parseAdmin]) {
        const error = failureOf(() => parse(new Redacted(text)));
        expect(error.code).toBe('ERR_MATERIAL_MISMATCH');
        expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain('canary');
      }
    }
  });
});

describe('the SCRAM verifier', () => {
  it('proves the exchange of RFC 7677', async () => {
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
    const verifier = await scramVerifier('pencil', salt);
    const [, stored, server] =
      /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$([^:]+):(.+)$/.exec(verifier) ?? [];
    const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
    const message = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${nonce}`;
    const sign = (key: Buffer): Buffer => createHmac('sha256', key).update(message).digest();
    expect(sign(Buffer.from(server ?? '', 'base64')).toString('base64')).toBe(
      '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
    );
    const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
    const signature = sign(Buffer.from(stored ?? '', 'base64'));
    const clientKey = Buffer.from(proof.map((byte, at) => byte ^ (signature[at] ?? 0)));
    expect(createHash('sha256').update(clientKey).digest('base64')).toBe(stored);
  });
});

describe('the mark in a role’s comment', () => {
  it('is read back as it was written', () => {
    const mark: Mark = { generation: 12, state: 'suspended', token: 'abc-1', credential: 'odd "name" x=1' };
    expect(parseMark(markText(mark))).toEqual(mark);
  });

  it.each([
    null,
    '',
    'a role',
    'rekey:1 gen=x state=live token=a credential=b',
    'rekey:2 gen=1 state=live token=a credential=b',
  ])('is not seen in %j', (comment) => {
    expect(parseMark(comment)).toBeUndefined();
  });

  it('takes no token that could be read as something else', () => {
    expect(failureOf(() => assertToken('a credential=b')).code).toBe('ERR_REQUEST');
    expect(() => assertToken('4f6b6c1e-0000-4000-8000-000000000000')).not.toThrow();
  });
});

describe('the choice of a slot', () => {
  const role = (name: string, generation: number, state: Mark['state']): Role => ({
    oid: 1,
    name,
    canLogin: state === 'live',
    superuser: false,
    createRole: false,
    administered: true,
    assumed: true,
    inheritsOwner: true,
    mark: { generation, state, token: `t${generation}`, credential: 'agents' },
  });
  const roles = (a?: Role, b?: Role): Roles => ({
    version: 180000,
    admin: role('admin', 0, 'live'),
    slots: [a, b],
  });

  it.each([
    ['agents_a', roles(), undefined],
    ['agents_b', roles(role('agents_a', 1, 'live')), 'agents_a'],
    ['agents_a', roles(role('agents_a', 1, 'retired'), role('agents_b', 2, 'live')), 'agents_b'],
    ['agents_b', roles(role('agents_a', 3, 'retired'), role('agents_b', 2, 'retired')), undefined],
    ['agents_b', roles(role('agents_a', 3, 'live'), role('agents_b', 2, 'retired')), undefined],
    ['agents_b', roles(role('agents_a', 3, 'retired')), undefined],
  ])('takes %s', (slot, found, current) => {
    expect(chooseSlot(target, found, 'new', current)).toBe(slot);
  });

  it('refuses a slot that is not retired, a generation that is over and one that is another’s', () => {
    const attempt = (found: Role, generation: number, token: string): string =>
      failureOf(() => assertFree(target, roles(found), 'agents_a', generation, token)).code;
    expect(attempt(role('agents_a', 1, 'live'), 2, 'new')).toBe('ERR_CAPACITY');
    expect(attempt(role('agents_a', 1, 'suspended'), 2, 'new')).toBe('ERR_CAPACITY');
    expect(attempt(role('agents_a', 3, 'retired'), 2, 'new')).toBe('ERR_CONFLICT');
    expect(attempt(role('agents_a', 2, 'retired'), 2, 't2')).toBe('ERR_TOMBSTONED');
    expect(attempt(role('agents_a', 2, 'live'), 2, 'new')).toBe('ERR_CONFLICT');
    expect(() => assertFree(target, roles(role('agents_a', 2, 'live')), 'agents_a', 2, 't2')).not.toThrow();
    expect(() =>
      assertFree(target, roles(role('agents_a', 1, 'retired')), 'agents_a', 2, 'new'),
    ).not.toThrow();
  });
});

describe('failures of the database', () => {
  const failure = (code: string | undefined, message = ''): Error =>
    Object.assign(new Error(message), code === undefined ? {} : { code });

  it.each([
    ['28P01', 'agent', 'ERR_REJECTED'],
    ['28P01', 'admin', 'ERR_ADMIN_DENIED'],
    ['28000', 'agent', 'ERR_REJECTED'],
    ['42501', 'agent', 'ERR_REJECTED'],
    ['42501', 'admin', 'ERR_ADMIN_DENIED'],
    ['ECONNREFUSED', 'agent', 'ERR_UNAVAILABLE'],
    ['ENOTFOUND', 'admin', 'ERR_UNAVAILABLE'],
    ['57P03', 'admin', 'ERR_UNAVAILABLE'],
    ['57P01', 'admin', 'ERR_UNAVAILABLE'],
    ['53300', 'agent', 'ERR_UNAVAILABLE'],
    ['55P03', 'admin', 'ERR_UNAVAILABLE'],
    ['40P01', 'admin', 'ERR_CONFLICT'],
    ['3D000', 'admin', 'ERR_DECLARATION'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'agent', 'ERR_REJECTED'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'admin', 'ERR_REJECTED'],
    ['42601', 'admin', 'ERR_REJECTED'],
    [undefined, 'admin', 'ERR_UNAVAILABLE'],
  ] as const)('%s of the %s is %s', (code, party, expected) => {
    const error = toRekeyError(failure(code, 'canary'), party, target);
    expect(error.code).toBe(expected);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('canary');
  });

  it('recognises what carries no code of its own', () => {
    expect(toRekeyError(failure('XX000', 'tuple concurrently updated'), 'admin', target).code).toBe(
      'ERR_CONFLICT',
    );
    const none = failure(undefined, 'The server does not support SSL connections');
    expect(toRekeyError(none, 'agent', target)).toMatchObject({ code: 'ERR_REJECTED', field: 'target.tls' });
    const both = new AggregateError([failure('ECONNREFUSED')], 'all failed');
    expect(toRekeyError(both, 'agent', target).code).toBe('ERR_UNAVAILABLE');
  });

  it('quotes identifiers', () => {
    expect(quote('a"b')).toBe('"a""b"');
  });
});

describe('the registry', () => {
  it('finds a provider by type and name, and lists what there is otherwise', async () => {
    expect(await providerFor('database', 'postgresql')).toMatchObject({
      overlap: { kind: 'dual', maxLive: 2 },
    });
    await expect((async () => providerFor('database', 'oracle'))()).rejects.toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'provider',
      remedy: expect.stringMatching(/^use one of: .*database\/postgresql/),
    });
    await expect((async () => providerFor('fax', 'postgresql'))()).rejects.toMatchObject({ field: 'type' });
  });
});

describe('a material', () => {
  it('belongs to its slot only', () => {
    const handle = { id: 'agents_a', generation: 1 };
    const belongs = (username: string) => () =>
      postgresqlProvider.assertBelongs(target, handle, newMaterial(target, username));
    expect(belongs('agents_a')).not.toThrow();
    expect(failureOf(belongs('agents_b')).field).toBe('username');
  });
});

describe('the administrator’s password', () => {
  // AuthenticationCleartextPassword and AuthenticationMD5Password; the last asks for SASL first.
  const clear = [0x52, 0, 0, 0, 8, 0, 0, 0, 3];
  const md5 = [0x52, 0, 0, 0, 12, 0, 0, 0, 5, 1, 2, 3, 4];
  const sasl = [0x52, 0, 0, 0, 23, 0, 0, 0, 10, ...Buffer.from('SCRAM-SHA-256\0\0')];

  it.each([
    ['in clear', clear],
    ['as MD5', md5],
    ['in clear after SCRAM', [...sasl, ...clear]],
  ])('is not sent to a server that asks for it %s', async (_, question) => {
    let received = '';
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write(Buffer.from(question)));
      socket.on('data', (bytes) => (received += bytes.toString('latin1')));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const tls = { mode: 'disable', reason: 'test' };
    const admin = async (): Promise<Redacted<string>> =>
      new Redacted('{"username":"boss","password":"canary"}');
    try {
      await expect(
        postgresqlProvider.preflight(parseTarget({ ...input, host: '127.0.0.1', port, tls }), {
          clock: Date.now,
          reach: { privateHosts: [] },
          admin,
        }),
      ).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED', remedy: expect.stringContaining('scram-sha-256') });
    } finally {
      server.close();
    }
    expect(received).toContain('boss');
    expect(received).not.toMatch(/canary|md5/);
  });
});

describe('what an adopted credential brings along', () => {
  it.each([
    ['policy', 'owner = CURRENT_USER', 'decides'],
    ['policy', "pg_has_role(CURRENT_USER, 'shop_owner'::name, 'USAGE'::text)", 'none'],
    ['policy', "tenant = current_setting('app.tenant'::text)", 'none'],
    ['policy', "pg_has_role(SESSION_USER, 'x'::name, 'USAGE'::text) AND USER = owner", 'decides'],
    ['view', 'SELECT 1 FROM t WHERE (t.owner = (CURRENT_USER)::text)', 'decides'],
    ['view', "SELECT 1 FROM t WHERE ((SESSION_USER)::text ~~ 'a%'::text)", 'decides'],
    ['view', 'SELECT CURRENT_USER AS who', 'mentions'],
    ['view', 'SELECT "user" FROM t', 'none'],
    ['default', 'CURRENT_USER', 'mentions'],
    ['function', "select current_user = 'x'", 'mentions'],
    ['function', "select 'shop'", 'mentions'],
    ['function', 'select 1', 'none'],
  ] as const)('uses the name in a %s (%s): %s', (kind, text, use) => {
    expect(nameUse(kind, text, 'shop')).toBe(use);
  });

  it.each([
    // As the console of Secrets Manager and AWS's templates for one and for two users write it.
    {
      engine: 'postgres',
      host: 'db.example.com',
      port: 5432,
      username: 'agents_a',
      password: 'of-before',
      dbname: 'shop',
    },
    {
      username: 'agents_a',
      password: 'of-before',
      engine: 'postgres',
      host: 'DB.example.com',
      port: '5432',
      dbname: 'shop',
      dbInstanceIdentifier: 'shop-1',
      masterarn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:master-AbCdEf',
    },
    { username: 'agents_a', password: 'of-before' },
  ])('keeps the keys of its secret, their order and their types: %j', (secret) => {
    const shop = parseTarget({ ...input, host: 'db.example.com', database: 'shop' });
    const like = new Redacted(JSON.stringify(secret));
    postgresqlProvider.assertBelongs(
      shop,
      { id: 'agents_a', generation: 1 },
      postgresqlProvider.material(like),
    );
    const next = newMaterial(shop, 'agents_b');
    const text = postgresqlProvider.serialize(next, like).reveal();
    const { password } = next.reveal();
    expect(text).toBe(JSON.stringify({ ...secret, username: 'agents_b', password }));
    postgresqlProvider.assertBelongs(
      shop,
      { id: 'agents_b', generation: 2 },
      postgresqlProvider.material(new Redacted(text)),
    );
  });

  it('is never a host of another place, nor plaintext that the target does not allow', () => {
    const shop = parseTarget({ ...input, host: 'db.example.com', database: 'shop' });
    const refused = (secret: object): string | undefined =>
      failureOf(() => {
        const text = new Redacted(JSON.stringify({ username: 'agents_a', password: 'p', ...secret }));
        postgresqlProvider.assertBelongs(
          shop,
          { id: 'agents_a', generation: 1 },
          postgresqlProvider.material(text),
        );
      }).field;
    expect(refused({ host: 'other.example.com' })).toBe('host');
    expect(refused({ port: '5433' })).toBe('port');
    expect(refused({ dbname: 'other' })).toBe('dbname');
    expect(refused({ sslmode: 'disable' })).toBe('sslmode');
    expect(refused({ engine: 'mysql' })).toBe('engine');
  });

  it('gets an owner role by the name of its login, unless one is declared', () => {
    const { ownerRole: _none, ...bare } = input;
    expect(parseTarget({ ...bare, users: ['shop', 'shop_b'] }).ownerRole).toBe('shop_owner');
    expect(failureOf(() => parseTarget(bare)).field).toBe('target.ownerRole');
    expect(failureOf(() => parseTarget({ ...bare, users: ['x'.repeat(60), 'y'] })).field).toBe(
      'target.ownerRole',
    );
    expect(failureOf(() => parseTarget({ ...input, acceptNameUse: ' ' })).field).toBe('target.acceptNameUse');
  });

  it('has a mark that keeps what a person wrote, line by line', () => {
    const mark = { generation: 1, state: 'live', token: 't', credential: 'shop', note: 'one\ntwo' } as const;
    expect(parseMark(markText(mark))).toEqual(mark);
    expect(parseMark(markText({ ...mark, note: '' }))).toEqual({ ...mark, note: '' });
  });
});
