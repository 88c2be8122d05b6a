import { hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acknowledgementKey } from '../../../shared/domain/acknowledgement-key.ts';
import {
  bearsOf,
  LOST_AFTER_SECONDS,
  MAX_RUNNING_SESSIONS,
  type Acknowledgement,
  type Pact,
  type PactCredential,
  type Session,
  type UseReport,
} from '../../../shared/domain/agents.ts';
import { authenticationOf, spansOf, whyNotQuiet } from '../../../shared/domain/authentication.ts';
import {
  clientSeen,
  digestOf,
  type ClientFacts,
  type KnownAgent,
} from '../../../shared/domain/client-evidence.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { Key } from '../../../shared/domain/credential.ts';
import { whyNotMoved, type ClientEvidence } from '../../../shared/domain/holder-evidence.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { familyOf } from '../../../shared/engine/clients.ts';
import { MemoryAgentStore } from '../../support/agent-parts.ts';

const OPENS = '2026-01-01T00:00:00.000Z';
const START = Date.parse(OPENS);
const at = (seconds: number): string => toInstant(START + seconds * 1000);
const WINDOW = { opensAt: OPENS, earliestClose: at(1800) };
const TTL = 300;
const STALE = 3600;

const keyOf = (versionId: string): Key => ({
  handle: { id: versionId, generation: 1 },
  versionId,
  fingerprint: `sha256:${versionId}`,
  issuedAt: OPENS,
});
const ROTATION = { id: 'r1', phase: 'window', loser: 'old', old: keyOf('v1'), next: keyOf('v2') } as const;

const pact = (agent: string, terms: Partial<PactCredential> = {}): Pact => ({
  agent,
  credentials: [
    {
      credential: 'orders-db',
      refresh: 'in-session',
      ttlSeconds: TTL,
      staleLimitSeconds: STALE,
      uses: 'unreported',
      delegates: [],
      ...terms,
    },
  ],
  checkpoint: false,
  sessionLimitSeconds: 3600,
  version: 3,
  actor: 'arn:a',
  registeredAt: OPENS,
});

const session = (instance: string, more: Partial<Session> = {}): Session => ({
  agent: 'checkout',
  id: `s-${instance}`,
  instance,
  key: { kind: 'sealed', sealed: '' },
  thumbprint: '',
  openedAt: at(-5000),
  seenAt: at(2000),
  keptUntil: at(1e6),
  holds: [],
  ...more,
});

const acknowledgement = (of: Session, more: Partial<Acknowledgement> = {}): Acknowledgement => ({
  credentialId: 'c1',
  rotation: 'r1',
  opensAt: OPENS,
  agent: of.agent,
  session: of.id,
  instance: of.instance,
  versionId: 'v2',
  fingerprint: 'sha256:v2',
  persisted: true,
  at: at(60),
  jws: `jws of ${of.id}`,
  thumbprint: '',
  ...more,
});

const use = (versionId: string, more: Partial<UseReport> = {}): UseReport => ({
  credentialId: 'c1',
  agent: 'checkout',
  session: 's-a',
  versionId,
  succeeded: 10,
  refused: 0,
  from: at(1990),
  to: at(2000),
  ...more,
});

const NOW = START + 2000_000;

function look(
  sessions: readonly Session[],
  changes: Partial<ClientFacts> & { now?: number; terms?: Partial<PactCredential> } = {},
): ClientEvidence {
  const { now = NOW, terms, ...facts } = changes;
  return clientSeen(
    { holder: 'checkout', opensAt: OPENS, now },
    {
      credential: 'orders-db',
      rotation: ROTATION,
      agents: [{ name: 'checkout', pact: pact('checkout', terms), sessions }],
      acknowledgements: sessions.map((each) => acknowledgement(each)),
      uses: { recent: [], before: [] },
      spans: spansOf(WINDOW, now),
      ...facts,
    },
  );
}

describe('an agent has moved', () => {
  it('when each of its sessions has acknowledged or is closed: with nothing missing, and counted', () => {
    const seen = look([
      session('a'),
      session('b', { closedAt: at(100) }),
      session('c', { closedAt: at(-9) }),
    ]);
    expect(seen).toMatchObject({
      sessions: 2,
      moved: 2,
      missing: [],
      pacts: { checkout: 3 },
      ttlSeconds: TTL,
    });
    const holder = { kind: 'client', name: 'checkout', principal: 'arn:a' } as const;
    expect(whyNotMoved(holder, OPENS, [seen], NOW)).toBeUndefined();
    // Evidence of another window says nothing of this one, nor does none at all.
    expect(whyNotMoved(holder, at(1), [seen], NOW)).toContain('nobody has looked');
    expect(whyNotMoved(holder, OPENS, undefined, NOW)).toContain('nobody has looked');
  });

  it('not while one has not, whatever the others have done; at most ten are named', () => {
    const sessions = Array.from({ length: 13 }, (_each, index) => session(`i${index}`));
    const seen = look(sessions, { acknowledgements: [acknowledgement(session('i0'))] });
    expect(seen).toMatchObject({ sessions: 13, moved: 1 });
    expect(seen.waiting.names).toHaveLength(10);
    expect(seen.waiting.more).toBe(2);
    expect(seen.missing[0]).toMatch(/12 of 13 sessions have not acknowledged: i1, .* and 2 more$/);
  });

  it.each<[string, Partial<Acknowledgement>]>([
    ['of another version', { versionId: 'v1' }],
    ['that would not survive a restart', { persisted: false }],
  ])('not by an acknowledgement %s', (_what, more) => {
    const seen = look([session('a')], { acknowledgements: [acknowledgement(session('a'), more)] });
    expect(seen.waiting.names).toEqual(['a']);
  });

  it('not by the acknowledgement of another agent under the same session id', () => {
    const other = acknowledgement(session('a'), { agent: 'another' });
    expect(look([session('a')], { acknowledgements: [other] })).toMatchObject({
      moved: 0,
      acknowledgements: 0,
    });
  });

  it('back with the old version, on the way back', () => {
    const back = { ...ROTATION, loser: 'next' } as const;
    const acknowledged = (versionId: string) => [acknowledgement(session('a'), { versionId })];
    expect(look([session('a')], { rotation: back, acknowledgements: acknowledged('v1') }).missing).toEqual(
      [],
    );
    expect(look([session('a')], { rotation: back, acknowledgements: acknowledged('v2') }).moved).toBe(0);
  });

  it('when it is silent, once it can’t work on any more: its ttl and then its stale limit have passed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: -5000, max: 5000 }),
        (now, seenAt) => {
          const quiet = session('a', { seenAt: at(seenAt) });
          const seen = look([quiet], { acknowledgements: [], now: START + now * 1000 });
          const lost = seenAt + LOST_AFTER_SECONDS <= now;
          expect(seen.moved).toBe(lost && now >= TTL + STALE ? 1 : 0);
          expect(seen.lost.names).toEqual(lost && now < TTL + STALE ? ['a'] : []);
        },
      ),
    );
  });

  it('not while it is silent and can’t change the value within its session: that may last as long as its limit', () => {
    // Opened before the window; by its ttl and stale limit alone it would be over at once.
    const quiet = session('a', { openedAt: at(-100), seenAt: at(-10) });
    const terms = { refresh: 'between-sessions', ttlSeconds: 60, staleLimitSeconds: 60 } as const;
    const missing = (now: number) =>
      look([quiet], { acknowledgements: [], terms, now: START + now * 1000 }).missing;
    expect(missing(3499)).toEqual(['checkout: silent, and may still work with the value of before: a']);
    expect(missing(3500)).toEqual([]);
  });

  it('not sooner than by the pact under which its session was opened, whatever has been registered since', () => {
    const bears = bearsOf(pact('checkout'));
    const shorter = { ttlSeconds: 60, staleLimitSeconds: 60 };
    const moved = (opened: Session['bears'], terms: Partial<PactCredential>, now: number) =>
      look([session('a', { seenAt: at(0), ...(opened && { bears: opened }) })], {
        acknowledgements: [],
        terms,
        now: START + now * 1000,
      }).moved;
    expect(moved(bears, shorter, TTL + STALE - 1)).toBe(0);
    expect(moved(bears, shorter, TTL + STALE)).toBe(1);
    expect(moved(bearsOf(pact('checkout', shorter)), {}, TTL + STALE - 1)).toBe(0);
    // Stored by a version that kept none.
    expect(moved(undefined, shorter, 180)).toBe(1);
  });

  it('when it came after what mode overlap has kept could be had: nobody can acknowledge that any more', () => {
    const kept = { ...ROTATION, phase: 'completed' } as const;
    const moved = (opened: number, more: Partial<Session> = {}, rotation: ClientFacts['rotation'] = kept) =>
      look([session('a', { openedAt: at(opened), seenAt: at(9990), ...more })], {
        acknowledgements: [],
        rotation,
        now: START + 10_000_000,
      }).moved;
    expect(moved(TTL + STALE)).toBe(1);
    expect(moved(TTL + STALE - 1)).toBe(0);
    expect(moved(TTL + STALE, { holds: [{ credential: 'orders-db', versionId: 'v1' }] })).toBe(0);
    expect(moved(TTL + STALE, { holds: [{ credential: 'orders-db', versionId: 'v2' }] })).toBe(1);
    expect(moved(TTL + STALE, { bears: bearsOf(pact('checkout', { ttlSeconds: 9000 })) })).toBe(0);
    // In an open window it can acknowledge, so it has to.
    expect(moved(TTL + STALE, {}, ROTATION)).toBe(0);
  });

  it('not while it has as many sessions as are taken: who was refused one may work without', () => {
    const sessions = Array.from({ length: MAX_RUNNING_SESSIONS }, (_each, index) => session(`i${index}`));
    expect(look(sessions).missing).toEqual([
      'checkout has as many sessions as Rekey takes: others may work without one',
    ]);
    expect(look(sessions.slice(1)).missing).toEqual([]);
  });

  it('not without a pact, and not by one that doesn’t name the credential', () => {
    const none = look([], { agents: [{ name: 'checkout', sessions: [] }] });
    expect(none.missing).toEqual(['checkout has registered no pact']);
    const other = { ...pact('checkout'), credentials: [] };
    const silent = look([], { agents: [{ name: 'checkout', pact: other, sessions: [] }] });
    expect(silent.missing).toEqual(['checkout has a pact without orders-db']);
  });

  it('of one that is out of service, whatever its pact names: it can say nothing any more', async () => {
    const decommissioned = { at: at(0), actor: 'arn:o', reason: 'gone', incidentId: 'OPS-1' };
    const other = { ...pact('checkout'), credentials: [], decommissioned };
    expect(look([], { agents: [{ name: 'checkout', pact: other, sessions: [] }] }).missing).toEqual([]);
    const agents = new MemoryAgentStore();
    await agents.openSession(session('a'));
    await agents.putPact(pact('checkout'));
    expect(await familyOf({ agents }, 'checkout', 'orders-db')).toMatchObject([
      { sessions: [{ instance: 'a' }] },
    ]);
    await agents.putPact({ ...pact('checkout'), decommissioned });
    expect(await familyOf({ agents }, 'checkout', 'orders-db')).toMatchObject([{ sessions: [] }]);
  });

  it('when its sub-agents have; one that nobody knows is missing proof', () => {
    const sub: KnownAgent = {
      name: 'search',
      from: 'checkout',
      pact: pact('search', { ttlSeconds: 700 }),
      sessions: [session('z', { agent: 'search' })],
    };
    const agents = [{ name: 'checkout', pact: pact('checkout'), sessions: [session('a')] }, sub];
    const acknowledgements = [acknowledgement(session('a'))];
    const seen = look([], { agents, acknowledgements });
    expect(seen.missing).toEqual([
      'search (which gets it from checkout): 1 of 1 sessions have not acknowledged: search/z',
    ]);
    expect(seen.ttlSeconds).toBe(700);
    const all = [...acknowledgements, acknowledgement(session('z', { agent: 'search' }))];
    expect(look([], { agents, acknowledgements: all }).missing).toEqual([]);
    const unknown = [agents[0] as KnownAgent, { name: 'search', from: 'checkout', sessions: [] }];
    expect(look([], { agents: unknown, acknowledgements }).missing).toEqual([
      'search (which gets it from checkout) has registered no pact',
    ]);
  });
});

describe('an instance contradicts its acknowledgement', () => {
  const contradicted = ['checkout: seen with another version after its acknowledgement: a'];

  it('by holding another version afterwards, not by what it held before', () => {
    const holds = [{ credential: 'orders-db', versionId: 'v1' }];
    expect(look([session('a', { holds })]).missing).toEqual(contradicted);
    expect(look([session('a', { holds, seenAt: at(50) })], { now: START + 100_000 }).missing).toEqual([]);
    const both = ['v2', 'v1'].map((versionId) => ({ credential: 'orders-db', versionId }));
    expect(look([session('a', { holds: both })]).missing).toEqual(contradicted);
    const others = [{ credential: 'another-db', versionId: 'v1' }];
    expect(look([session('a', { holds: others })]).missing).toEqual([]);
  });

  it('by using the old version afterwards; what it used before counts for nothing', () => {
    const uses = (more: Partial<UseReport>) => ({ recent: [use('v1', more)], before: [] });
    expect(look([session('a')], { uses: uses({}) }).missing).toEqual(contradicted);
    expect(look([session('a')], { uses: uses({ from: at(50) }) }).missing).toEqual([]);
    expect(look([session('a')], { uses: uses({ succeeded: 0 }) }).missing).toEqual([]);
    expect(look([session('a')], { uses: uses({ session: 's-b' }) }).missing).toEqual([]);
  });

  it('as the agent API has marked it, and no later acknowledgement is needed for the others', () => {
    const marked = acknowledgement(session('a'), { contradictedAt: at(70) });
    const seen = look([session('a'), session('b')], {
      acknowledgements: [marked, acknowledgement(session('b'))],
    });
    expect(seen).toMatchObject({ moved: 1, contradicted: { names: ['a'], more: 0 } });
  });

  it('until it has closed, or been silent for its ttl and stale limit since', () => {
    const marked = acknowledgement(session('a'), { contradictedAt: at(1000) });
    const missing = (more: Partial<Session>, now: number) =>
      look([session('a', more)], { acknowledgements: [marked], now: START + now * 1000 }).missing;
    expect(missing({ closedAt: at(1500) }, 2000)).toEqual([]);
    expect(missing({ seenAt: at(1000) }, 1000 + TTL + STALE - 1)).toHaveLength(1);
    expect(missing({ seenAt: at(1000) }, 1000 + TTL + STALE)).toEqual([]);
  });
});

describe('hard decision 13: the digest of acknowledgements', () => {
  const all = ['a', 'b', 'c'].map((instance) => acknowledgement(session(instance)));

  it('is the same in whatever order they come, and another where any of them differs', () => {
    expect(digestOf(all.toReversed())).toBe(digestOf(all));
    const others = all.map((each, index) => (index === 1 ? { ...each, persisted: false } : each));
    expect(digestOf(others)).not.toBe(digestOf(all));
    expect(digestOf(all.slice(1))).not.toBe(digestOf(all));
  });

  it('stands in the evidence with its number and its place, not the acknowledgements', () => {
    const seen = look(['a', 'b', 'c'].map((instance) => session(instance)));
    expect(seen).toMatchObject({
      acknowledgements: 3,
      digest: digestOf(all),
      rotation: 'r1',
      opensAt: OPENS,
    });
    expect(JSON.stringify(seen)).not.toContain('jws');
  });
});

describe('P4: authentication errors', () => {
  const reporter = { name: 'checkout', uses: 'reported', sessions: [session('a')] } as const;
  const spans = spansOf(WINDOW, NOW);
  const seen = (recent: readonly UseReport[], before: readonly UseReport[] = []) =>
    authenticationOf([reporter], { recent, before }, spans, NOW);

  it('are compared over 15 minutes, or the length of a shorter window, with as long a time before the opening', () => {
    expect(spans).toEqual({
      recent: { from: at(1100), to: at(2000) },
      before: { from: at(-900), to: OPENS },
    });
    expect(spansOf({ opensAt: OPENS, earliestClose: at(60) }, NOW).recent.from).toBe(at(1940));
    expect(spansOf(WINDOW, START + 10_000).recent.from).toBe(OPENS);
  });

  it('have risen where more were refused than before, and more of all uses', () => {
    const uses = fc.record({ succeeded: fc.nat(50), refused: fc.nat(5) });
    fc.assert(
      fc.property(uses, uses, (late, early) => {
        const found = seen([use('v2', late)], [use('v1', { ...early, from: at(-70), to: at(-10) })]);
        const share = (each: typeof late) => each.refused / Math.max(1, each.refused + each.succeeded);
        expect(found?.risen).toBe(late.refused > early.refused && share(late) > share(early));
        expect(whyNotQuiet(found ?? ({} as never)).length).toBe(found?.risen === true ? 1 : 0);
      }),
    );
  });

  it('of the time before count up to the opening only; the minute of the opening counts as after it', () => {
    const early = use('v1', { refused: 5, from: at(-70), to: at(30) });
    expect(seen([use('v2', { refused: 1 })], [early])).toMatchObject({ before: { refused: 0 }, risen: true });
  });

  it('that nobody reports although a session has been open all the time are missing proof', () => {
    expect(seen([])?.silent.names).toEqual(['checkout']);
    expect(seen([use('v2')])?.silent.names).toEqual([]);
    expect(seen([use('v2', { agent: 'another' })])?.silent.names).toEqual(['checkout']);
    for (const idle of [
      session('a', { closedAt: at(1) }),
      session('a', { seenAt: at(0) }),
      session('a', { openedAt: at(1900) }),
    ])
      expect(
        authenticationOf([{ ...reporter, sessions: [idle] }], { recent: [], before: [] }, spans, NOW)?.silent
          .names,
      ).toEqual([]);
  });

  it('of agents that don’t report decide nothing, and those that do keep the window open', () => {
    const refused = { recent: [use('v2', { refused: 9 })], before: [] };
    expect(look([session('a')], { uses: refused }).authentication).toBeUndefined();
    // A pact that is registered in mid-window takes no refusal out of the proof.
    const bears = bearsOf(pact('checkout', { uses: 'reported' }));
    expect(look([session('a', { bears })], { uses: refused }).authentication?.risen).toBe(true);
    expect(
      look([session('a', { bears, closedAt: at(1990) })], { uses: refused }).authentication,
    ).toBeUndefined();
    const reported = look([session('a')], { uses: refused, terms: { uses: 'reported' } });
    expect(reported.authentication).toMatchObject({ refused: 9, succeeded: 10, risen: true });
    expect(reported.missing[0]).toMatch(/^authentication errors have risen: 9 of 19 uses/);
  });
});

describe('hard decision 7: the key of acknowledgements', () => {
  const text = new Redacted('{"username":"a","password":"b"}');

  it('is derived as the contract says, for one rotation', () => {
    const own = Buffer.from(acknowledgementKey(text, 'r1').reveal()).toString('hex');
    const derived = hkdfSync('sha256', text.reveal(), 'r1', 'rekey acknowledgement v1', 32);
    expect(own).toBe(Buffer.from(derived).toString('hex'));
    expect(Buffer.from(acknowledgementKey(text, 'r2').reveal()).toString('hex')).not.toBe(own);
  });
});
