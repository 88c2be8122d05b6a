import { describe, expect, it } from 'vitest';
import { parseEntry } from '../../../shared/domain/declaration.ts';
import type { Holder } from '../../../shared/domain/holders.ts';
import {
  harmless,
  identityOf,
  joined,
  proposalText,
  seenAgain,
  sessionsSeen,
  sightings,
  type SeenReader,
} from '../../../shared/domain/readers.ts';
import { ADDRESSES_KEPT } from '../../../shared/domain/seen-addresses.ts';
import { parse } from 'yaml';
import { rotationOf } from '../api/fakes.ts';

const ROLE = 'arn:aws:iam::111122223333:role/team/crawler';
const at = (time: string): string => `2026-11-22T${time}:00.000Z`;
const reader = (changes: Partial<SeenReader> = {}): SeenReader => ({
  kind: 'role',
  principal: ROLE,
  firstSeen: at('10:00'),
  lastSeen: at('10:00'),
  ...changes,
});
const lambda = reader({ kind: 'lambda', principal: 'arn:aws:iam::111122223333:role/r', name: 'orders' });
const account = reader({ kind: 'account', principal: 'arn:aws:iam::444455556666:root' });
const session = reader({ kind: 'session', principal: 'orders_a', name: 'order-agents', address: '10.0.0.7' });
const one = (seen: SeenReader, holders: Holder[] = []) => sightings([seen], holders)[0];

describe('what is kept of a reader', () => {
  it('is written once an hour however often it reads, with when it was seen first', () => {
    expect(seenAgain(undefined, reader())).toEqual(reader());
    expect(seenAgain(reader(), reader({ lastSeen: at('10:59') }))).toBeUndefined();
    const later = reader({ firstSeen: at('11:30'), lastSeen: at('11:30') });
    expect(seenAgain(reader(), later)).toEqual({ ...reader(), lastSeen: at('11:30') });
  });

  it('is written at once where it asks for a version that is not current, or is logged in', () => {
    for (const rare of [reader({ version: 'AWSPREVIOUS' }), session]) {
      const again = { ...rare, lastSeen: at('10:01') };
      const kept = seenAgain(rare, again) ?? rare;
      expect(kept).toMatchObject({ firstSeen: at('10:00'), lastSeen: at('10:01') });
      expect(seenAgain(kept, rare)).toBeUndefined();
    }
  });

  it('is one thing for several sightings, in whatever order', () => {
    const late = reader({ firstSeen: at('12:00'), lastSeen: at('12:00') });
    for (const both of [joined(reader(), late), joined(late, reader())])
      expect(both).toEqual(reader({ lastSeen: at('12:00') }));
  });

  it('is told apart by who, what and which version, not by where from or when', () => {
    const identities = [
      reader(),
      lambda,
      session,
      account,
      reader({ kind: 'ecs' }),
      reader({ version: 'x' }),
    ];
    expect(new Set(identities.map(identityOf)).size).toBe(identities.length);
    const elsewhere: SeenReader = { ...session, address: '10.0.0.8' };
    expect(identityOf(elsewhere)).toBe(identityOf(session));
  });

  it('keeps each address with when it was first and last seen there, in whatever order they are told', () => {
    const from = (address: string, time: string) =>
      reader({ ...session, address, firstSeen: at(time), lastSeen: at(time) });
    const seen = [
      from('10.0.0.7', '10:00'),
      from('10.0.0.7', '11:00'),
      from('203.0.113.66', '12:00'),
      from('10.0.0.7', '13:00'),
    ];
    for (const told of [seen, seen.toReversed()])
      expect(told.reduce(joined)).toEqual({
        ...session,
        lastSeen: at('13:00'),
        address: '10.0.0.7',
        addresses: [
          { address: '10.0.0.7', firstSeen: at('10:00'), lastSeen: at('13:00') },
          { address: '203.0.113.66', firstSeen: at('12:00'), lastSeen: at('12:00') },
        ],
      });
  });

  it('has a sighting at another address that is told late', () => {
    const kept = { ...session, lastSeen: at('11:00') };
    const late = { ...session, address: '203.0.113.66' };
    expect(seenAgain(kept, late)).toMatchObject({ lastSeen: at('11:00'), address: '10.0.0.7' });
    expect(seenAgain(kept, late)?.addresses?.map(({ address }) => address)).toEqual([
      '203.0.113.66',
      '10.0.0.7',
    ]);
  });

  it('keeps what was known first and what came last where there are too many addresses, and says so', () => {
    const minute = (index: number): string => at(`10:${String(index).padStart(2, '0')}`);
    const many = Array.from({ length: 50 }, (_, index) =>
      reader({
        ...session,
        address: `203.0.113.${index}`,
        firstSeen: minute(index),
        lastSeen: minute(index),
      }),
    );
    const kept = many.reduce(joined);
    const ends = [...many.slice(0, ADDRESSES_KEPT / 2), ...many.slice(-ADDRESSES_KEPT / 2)];
    expect(kept.addresses?.map(({ address }) => address)).toEqual(ends.map(({ address }) => address));
    expect(kept.addressesLost).toBe(true);
    expect(joined(kept, session).addressesLost).toBe(true);
    expect(many.slice(0, ADDRESSES_KEPT).reduce(joined)).not.toHaveProperty('addressesLost');
  });

  it('is one session for names that are the same once they are harmless, with all their addresses', () => {
    const clients = ['a\u0001', 'a\u0002'].map((application, index) => ({
      user: 'orders_a',
      application,
      addresses: [`10.0.0.${index}`],
    }));
    const [seen, ...others] = sessionsSeen(clients, at('10:00'));
    expect(others).toEqual([]);
    expect(seen).toMatchObject({ name: 'a?', addresses: [{ address: '10.0.0.0' }, { address: '10.0.0.1' }] });
  });

  it('holds no name that could steer a terminal or break a line', () => {
    const [seen] = sessionsSeen([{ user: 'a', application: 'x\n\u001B[31mroot\u009B' }], at('10:00'));
    expect(seen?.name).toBe('x??[31mroot?');
    expect(harmless('y'.repeat(100))).toHaveLength(64);
  });
});

describe('a reader is declared', () => {
  const polling: Holder = { kind: 'polling', name: 'fleet', ttlSeconds: 60 };
  it.each<[string, SeenReader, Holder]>([
    ['by its principal', reader(), { ...polling, principal: ROLE }],
    ['by the name of its function', lambda, { kind: 'lambda', name: 'fleet', function: 'orders:live' }],
    [
      'by any principal of its account',
      account,
      { ...polling, principal: 'arn:aws:iam::444455556666:role/theirs' },
    ],
    ['by what its session calls itself', session, { ...polling, name: 'order-agents' }],
  ])('%s', (_how, seen, holder) => {
    expect(one(seen, [polling, holder])).toEqual({ reader: seen, declaredAs: holder.name });
  });

  it('by none of them where nothing says so', () => {
    for (const seen of [reader(), lambda, account, session])
      expect(one(seen, [polling, { kind: 'lambda', name: 'l', function: 'other' }])).not.toHaveProperty(
        'declaredAs',
      );
  });
});

describe('a proposal', () => {
  it.each<[SeenReader['kind'], object]>([
    ['lambda', { kind: 'lambda', function: 'orders', principal: ROLE }],
    ['ecs-start', { kind: 'ecs-restart', cluster: '<cluster>', service: '<service>', principal: ROLE }],
    ['ecs', { kind: 'polling', ttl: '<ttl>', principal: ROLE }],
    ['ec2', { kind: 'polling', ttl: '<ttl>', principal: ROLE }],
    ['role', { kind: 'polling', ttl: '<ttl>', principal: ROLE }],
    ['user', { kind: 'polling', ttl: '<ttl>', principal: ROLE }],
    ['session', { kind: 'polling', ttl: '<ttl>' }],
  ])('for a reader of kind %s has the proof that fits it', (kind, expected) => {
    const named = kind === 'lambda' || kind === 'session' ? { name: 'orders' } : {};
    const name = kind === 'lambda' || kind === 'session' ? 'orders' : 'crawler';
    expect(one(reader({ kind, ...named }))?.proposal).toEqual({ ...expected, name });
  });

  it('is none for a person, for a service in its own name, and for a session without a name', () => {
    for (const kind of ['person', 'service', 'session'] as const)
      expect(one(reader({ kind }))).not.toHaveProperty('proposal');
  });

  it('has a name of its own', () => {
    const taken: Holder = { kind: 'manual', name: 'crawler' };
    const both = sightings([reader(), reader({ kind: 'ecs' })], [taken]);
    expect(both.map(({ proposal }) => proposal?.['name'])).toEqual(['crawler-2', 'crawler-3']);
  });

  it('is a line to paste, which a declaration takes once what stands in <> is filled in, and not before', () => {
    const entry = (line: string): unknown => ({
      name: 'orders',
      type: 'database',
      provider: 'postgresql',
      secret: 'agents/orders',
      admin: 'admin/orders',
      target: {},
      holders: parse(line),
    });
    const all = [lambda, account, session, reader(), reader({ kind: 'ecs-start' })];
    for (const { proposal = {} } of sightings(all, [])) {
      const line = proposalText(proposal);
      if (line.includes('<')) expect(() => parseEntry(entry(line))).toThrow(/use|write/);
      const filled = line.replace('<ttl>', '15m').replace('<cluster>', 'main').replace('<service>', 'web');
      expect(parseEntry(entry(filled)).holders).toHaveLength(1);
    }
    expect(proposalText(one(lambda)?.proposal ?? {})).toBe(
      '- { kind: lambda, name: orders, function: orders, principal: "arn:aws:iam::111122223333:role/r" }',
    );
  });

  it('quotes what is not plain, so that no name becomes another field', () => {
    const name = 'a, ttl: 1s } #';
    const { proposal = {} } = one(reader({ kind: 'session', name })) ?? {};
    expect(parse(proposalText(proposal))).toEqual([{ kind: 'polling', name, ttl: '<ttl>' }]);
  });
});

describe('use of what a rotation ends', () => {
  const rotation = rotationOf();
  const after = at('11:55');
  it.each<[string, Partial<SeenReader>, boolean]>([
    ['a read of AWSPREVIOUS', { version: 'AWSPREVIOUS', lastSeen: after }, true],
    ['a read of its version', { version: rotation.old?.versionId ?? '', lastSeen: after }, true],
    ['a session of its user', { kind: 'session', principal: 'orders_a', lastSeen: after }, true],
    ['a read before the window', { version: 'AWSPREVIOUS', lastSeen: at('11:40') }, false],
    ['a read of what is current', { lastSeen: after }, false],
    ['a session of the new user', { kind: 'session', principal: 'orders_b', lastSeen: after }, false],
  ])('%s: %j', (_what, changes, shows) => {
    const [seen] = sightings([reader(changes)], [], rotation);
    expect(seen?.onLoser ?? false).toBe(shows);
  });

  it('is none once the rotation is over', () => {
    const over = rotationOf({ phase: 'completed' });
    const [seen] = sightings([reader({ version: 'AWSPREVIOUS', lastSeen: after })], [], over);
    expect(seen).not.toHaveProperty('onLoser');
  });

  it('the latest come first', () => {
    const list = [
      reader(),
      reader({ kind: 'ecs', lastSeen: after }),
      reader({ kind: 'ec2', lastSeen: at('11:00') }),
    ];
    expect(sightings(list, []).map(({ reader: { kind } }) => kind)).toEqual(['ecs', 'ec2', 'role']);
  });
});
