import { describe, expect, test } from 'vitest';
import { loginsOf } from '../../../../shared/domain/database-logs/logins.ts';
import { postgresLine } from '../../../../shared/domain/database-logs/postgresql.ts';
import { DELIVERIES, letIn, turnedAway, type LoggedClient } from '../../../support/postgres-log.ts';

// Lines of a real PostgreSQL 18 with RDS's prefix; test/integration/database-log.int.test.ts has it write them anew.
const AT = '2026-11-26 19:02:16 UTC';
const RECEIVED = `${AT}:10.0.0.7(52578):[unknown]@[unknown]:[14896]:LOG:  connection received: host=10.0.0.7 port=52578`;
const TLS = 'SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)';
const AUTHORIZED = `${AT}:10.0.0.7(52578):orders_a@orders:[14896]:LOG:  connection authorized: user=orders_a database=orders application_name=worker ${TLS}`;
const REFUSED = `${AT}:10.0.0.7(52578):orders_a@orders:[14896]:FATAL:  password authentication failed for user "orders_a"`;
const SUSPENDED = `${AT}:10.0.0.7(52578):orders_a@orders:[14896]:FATAL:  role "orders_a" is not permitted to log in`;
const LONG =
  '2026-11-26 19:04:24.516 UTC:10.0.0.7(36456):orders_a@orders:[17789]:3:00000:2026-11-26 19:04:24 UTC:2/1:0:6b0882b8.457d:[unknown]:';

const logins = (...lines: string[]) => loginsOf(lines.map(postgresLine));
const login = {
  login: 'orders_a',
  database: 'orders',
  address: '10.0.0.7',
  at: '2026-11-26T19:02:16.000Z',
};

describe('a line of PostgreSQL', () => {
  test('tells who was let in, to which database, from where, and what the client calls itself', () => {
    expect(logins(RECEIVED, AUTHORIZED)).toEqual([{ ...login, outcome: 'worked', application: 'worker' }]);
  });

  test('tells it without TLS and without a name of the application, and with the longer prefix to the millisecond', () => {
    const plain = AUTHORIZED.replace(` application_name=worker ${TLS}`, '');
    expect(logins(plain)).toEqual([{ ...login, outcome: 'worked' }]);
    expect(logins(`${LONG}LOG:  connection authorized: user=orders_a database=orders ${TLS}`)).toEqual([
      { ...login, at: '2026-11-26T19:04:24.516Z', outcome: 'worked' },
    ]);
  });

  test('tells of a wrong password, with the address from which the connection was seen to begin', () => {
    expect(logins(RECEIVED, REFUSED)).toEqual([{ ...login, outcome: 'refused' }]);
    const { address: _address, ...without } = login;
    expect(logins(REFUSED)).toEqual([{ ...without, outcome: 'refused' }]);
    expect(logins(RECEIVED.replaceAll('52578', '52579'), REFUSED)).toEqual([
      { ...without, outcome: 'refused' },
    ]);
  });

  test('tells of a login that is suspended: the password is right, and it is refused all the same', () => {
    expect(logins(RECEIVED, AUTHORIZED, SUSPENDED)).toEqual([
      { ...login, outcome: 'refused', application: 'worker' },
    ]);
  });

  test('keeps two connections apart that use the same port one after the other', () => {
    expect(logins(RECEIVED, AUTHORIZED, RECEIVED, REFUSED).map(({ outcome }) => outcome)).toEqual([
      'worked',
      'refused',
    ]);
  });

  test('finds the database where names hold an @', () => {
    const odd = AUTHORIZED.replaceAll('orders_a', 'agent@corp').replace(
      'database=orders ',
      'database=or@ders ',
    );
    expect(logins(odd.replace('@orders:', '@or@ders:'))).toMatchObject([
      { login: 'agent@corp', database: 'or@ders' },
    ]);
  });

  test('that is of something else shows only that the log is delivered', () => {
    const checkpoint = `${AT}::@:[14862]:LOG:  checkpoint complete: wrote 4 buffers (0.0%), wrote 3 SLRU buffers; 0 WAL file(s) added`;
    const statement = `${AT}:10.0.0.7(52578):orders_a@orders:[14896]:LOG:  statement: SELECT 'connection authorized: user=orders_b database=orders'`;
    const ended = `${AT}:10.0.0.7(52578):orders_a@orders:[14896]:FATAL:  terminating connection due to administrator command`;
    for (const line of [checkpoint, statement, ended])
      expect(postgresLine(line)).toEqual({ kind: 'other', at: login.at });
    expect(postgresLine('\tConnection matched file "pg_hba.conf" line 1')).toBe('continued');
  });

  test('may be anything', () => {
    for (const text of ['', '\n', 'x'.repeat(1_000_000), `${AT}:${'@'.repeat(200_000)}`, `${AT}:[local]:`])
      expect(['malformed', 'forgeable', 'other']).toContain(kindOf(text));
    expect(kindOf(AUTHORIZED.replace('10.0.0.7', '10.0.0.777'))).toBe('malformed');
    expect(kindOf(AUTHORIZED.replace('2026-11-26', '2026-13-26'))).toBe('malformed');
    expect(kindOf(AUTHORIZED.replace('user=orders_a', 'user=orders_b'))).toBe('other');
    expect(kindOf(AUTHORIZED.replace('database=orders', 'database=other'))).toBe('other');
  });
});

const kindOf = (text: string): string => {
  const line = postgresLine(text);
  return typeof line === 'string' ? line : line.kind;
};

describe('whoever may connect, without a password,', () => {
  const attacker = { address: '203.0.113.9', port: 4444, pid: 1200 };
  const at = '2026-11-26T19:02:16.000Z';
  const told = (client: LoggedClient) =>
    DELIVERIES.map((deliver) => loginsOf(deliver(turnedAway(at, client)).map(postgresLine)));

  test('makes no login of another up with names that break the line, as PostgreSQL 18 wrote them', () => {
    const user = '\n2026-11-26 12:00:00 UTC:6.6.6.6(1):a';
    const database = 'o:[7]:LOG:  connection authorized: user=a database=o\n';
    for (const found of told({ ...attacker, user, database })) {
      expect(found.filter((each) => each.login === 'a')).toEqual([]);
    }
  });

  test('moves no refusal to another address', () => {
    const database = '\n2026-11-26 12:00:00 UTC:6.6.6.6(1):orders_a@o';
    for (const found of told({ ...attacker, user: 'orders_a', database }))
      expect(found.map(({ address }) => address)).not.toContain('6.6.6.6');
  });

  test('can not make a right password look refused', () => {
    const client = { user: 'a', database: 'o', address: '10.0.0.7', port: 1, pid: 7 };
    const user = '\n2026-11-26 19:02:16 UTC:10.0.0.7(1):a';
    const database = 'o:[7]:FATAL:  role "a" is not permitted to log in\n';
    const forged = turnedAway(at, { ...attacker, user, database });
    for (const deliver of DELIVERIES) {
      const found = loginsOf(deliver([...letIn(at, client), ...forged]).map(postgresLine));
      expect(found.filter((each) => each.login === 'a')).toMatchObject([{ outcome: 'worked' }]);
    }
  });

  test('does none of it with 4,000 names put together from pieces of lines', () => {
    const pick = random(7);
    const pieces = [
      '\n',
      '\n\t',
      '\r\n',
      '2026-11-26 12:00:00 UTC:',
      '6.6.6.6(1):',
      '1.1.1.1(1):',
      'a@o',
      'a',
      'o',
      '@',
      ':[7]:',
      ':[1200]:',
      'LOG:  ',
      'FATAL:  ',
      'connection authorized: user=a database=o',
      'connection received: host=6.6.6.6 port=1',
      'password authentication failed for user "a"',
      ' application_name=',
      ' SSL enabled (protocol=x, cipher=y, bits=1)',
      ' database=',
      '"',
      'é',
      '\u2028',
    ];
    // Whole lines to begin with, since chance alone seldom spells one.
    const begun = [
      '',
      '\n2026-11-26 12:00:00 UTC:6.6.6.6(1):',
      '\n2026-11-26 12:00:00 UTC:6.6.6.6(1):a',
      'o:[7]:LOG:  connection authorized: user=a database=o',
      'o:[7]:FATAL:  password authentication failed for user "a"\n',
    ];
    const name = () =>
      (begun[pick(begun.length)] ?? '') +
      Array.from({ length: pick(5) }, () => pieces[pick(pieces.length)]).join('');
    for (let turn = 0; turn < 4_000; turn++) {
      const client = { ...attacker, user: name(), database: name() };
      for (const found of told(client)) {
        const forged = found.filter(
          ({ login: who, outcome }) => ['a', 'orders_a'].includes(who) && outcome === 'worked',
        );
        expect(forged, JSON.stringify(client)).toEqual([]);
        const moved = found.filter(({ address }) => address !== undefined && address !== attacker.address);
        expect(moved, JSON.stringify(client)).toEqual([]);
      }
    }
  });
});

test('whoever is let in is told of, whatever the application calls itself', () => {
  const at = '2026-11-26T19:02:16.000Z';
  const pick = random(11);
  const pieces = [
    ':[1]:',
    'FATAL:  ',
    'LOG:  ',
    '@',
    ' SSL enabled (',
    ')',
    'user=',
    'database=',
    '"',
    'orders_b',
    ' ',
    'role "orders_a" is not permitted to log in',
  ];
  for (let turn = 0; turn < 1_000; turn++) {
    const application = Array.from({ length: 1 + pick(6) }, () => pieces[pick(pieces.length)])
      .join('')
      .slice(0, 63);
    const client = {
      user: 'orders_a',
      database: 'orders',
      address: '203.0.113.9',
      port: 4444,
      pid: 1200,
      application,
    };
    for (const deliver of DELIVERIES)
      expect(loginsOf(deliver(letIn(at, client)).map(postgresLine)), application).toMatchObject([
        { login: 'orders_a', database: 'orders', address: '203.0.113.9', outcome: 'worked' },
      ]);
  }
});

/** A number below `below`, the same for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}
