import { expect, test } from 'vitest';
import { SIGNAL_SOURCES } from '../../../shared/domain/signals/signal.ts';
import { SignalWorld, type Sent } from '../../support/signal-world.ts';

/** A number below `below`, the same for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const LEAKED = 'a-value-that-works-0123456789abcdef';

async function world(): Promise<SignalWorld> {
  const one = await SignalWorld.start();
  one.add('orders', LEAKED);
  return one;
}

/** Where the proof of a delivery stands, by its source. */
const PROOF: Readonly<Record<string, string>> = {
  github: 'X-Hub-Signature-256',
  'github-partner': 'Github-Public-Key-Signature',
  gitguardian: 'Gitguardian-Signature',
  siem: 'X-Rekey-Signature',
  gcp: 'Authorization',
};

/** Ways to change a delivery so that its source has not sent it. */
const FORGERIES: readonly ((sent: Sent, pick: (below: number) => number) => Sent)[] = [
  // Another byte in the body.
  (sent, pick) => changed(sent, (body) => (body[pick(body.length)]! ^= 1 + pick(255))),
  // A byte more, one that JSON doesn't mind; to a token it would be none.
  (sent) => withBody(sent, Buffer.concat([sent.body, Buffer.from(sent.source === 'risc' ? 'A' : ' ')])),
  (sent, pick) => withBody(sent, sent.body.subarray(0, pick(sent.body.length))),
  (sent, pick) => withBody(sent, Buffer.from(Array.from({ length: pick(200) }, () => pick(256)))),
  // No proof at all, or anything in its place.
  (sent) => ({ ...withBody(sent, Buffer.from('{}')), headers: {}, query: {} }),
  (sent, pick) => tampered(sent, (proof) => flipped(proof, pick)),
  (sent) => tampered(sent, (proof) => proof.slice(0, -4)),
  (sent) => tampered(sent, () => 'sha256=' + '0'.repeat(64)),
  // The proof of one source at another's address.
  (sent, pick) => {
    const others = SIGNAL_SOURCES.filter((each) => each !== sent.source);
    return { ...sent, source: others[pick(others.length)] ?? '', query: {} };
  },
  (sent) => ({ ...withBody(sent, Buffer.from('['.repeat(60_000))), headers: sent.headers, query: {} }),
];

function withBody(sent: Sent, body: Buffer): Sent {
  // What knows its source by a token or a word, and signs no bytes, loses that: its bytes are nobody's.
  return { ...sent, body, ...(['gcp', 'azure'].includes(sent.source) ? { headers: {}, query: {} } : {}) };
}

function changed(sent: Sent, change: (body: Buffer) => unknown): Sent {
  const body = Buffer.from(sent.body);
  change(body);
  return withBody(sent, body);
}

function tampered(sent: Sent, change: (proof: string) => string): Sent {
  const name = PROOF[sent.source] ?? (hasToken(sent) ? 'Authorization' : undefined);
  if (name !== undefined)
    return { ...sent, headers: { ...sent.headers, [name]: change(sent.headers[name] ?? '') } };
  if (sent.source === 'azure') return { ...sent, query: { key: change(sent.query?.['key'] ?? '') } };
  return { ...sent, body: Buffer.from(change(sent.body.toString())) };
}

function hasToken({ headers }: Sent): boolean {
  return 'Authorization' in headers;
}

/** With another character in the first half, where each bit of an encoding counts. */
function flipped(proof: string, pick: (below: number) => number): string {
  const at = Math.floor(proof.length / 4) + pick(Math.floor(proof.length / 4));
  return proof.slice(0, at) + (proof[at] === '0' ? '1' : '0') + proof.slice(at + 1);
}

test(
  '100,000 signals that are fuzzed, forged, expired or replayed change nothing',
  { timeout: 120_000 },
  async () => {
    const one = await world();
    const pick = random(20261126);
    const statuses = new Map<number, number>();
    const noted = async (sent: Sent, base64 = true): Promise<void> => {
      const { response } = await one.send(sent, base64);
      const status = response.statusCode ?? 0;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    };
    const bySource = async (from: number): Promise<Sent[]> =>
      Promise.all([
        ...SIGNAL_SOURCES.flatMap((source) => [0, 1].map((n) => one.signed(source, LEAKED, from + n))),
        one.eventGrid(from + 2),
      ]);

    const genuine = await bySource(1);
    for (let n = 0; n < 60_000; n++) {
      const forge = FORGERIES[pick(FORGERIES.length)];
      const sent = genuine[pick(genuine.length)];
      if (forge === undefined || sent === undefined) throw new Error('nothing to forge');
      await noted(forge(sent, pick), pick(2) === 0);
    }
    expect(one.writes).toEqual([]);

    // Genuine ones, long after they were sent. Those without a time of their own are known by what was marked.
    const timed = genuine.filter(
      (sent) => !['github-partner', 'azure'].includes(sent.source) || hasToken(sent),
    );
    one.now += 91 * 24 * 3600_000;
    for (let n = 0; n < 20_000; n++) await noted(timed[pick(timed.length)] ?? timed[0]!);
    expect(one.writes).toEqual([]);
    expect([...statuses.keys()].toSorted((a, b) => a - b)).toEqual([400, 403]);

    const fresh = await bySource(100);
    for (const sent of fresh) expect((await one.send(sent)).response.statusCode).toBe(202);
    const done = one.writes.length;
    expect(done).toBeGreaterThan(fresh.length);
    const replay = async (of: readonly Sent[], times: number): Promise<void> => {
      for (let n = 0; n < times; n++) {
        const { response, outcomes } = await one.send(of[pick(of.length)] ?? of[0]!);
        expect(response.statusCode).toBe(202);
        expect(outcomes.map(({ act }) => act)).toEqual(['repeated']);
      }
      expect(one.writes.length).toBe(done);
    };
    await replay(fresh, 12_000);
    // Once what was begun is over and the value has ended, those that nothing dates, or a date of long ago, begin nothing more.
    one.end('orders');
    one.now += 3600_000;
    await replay(
      fresh.filter(
        (sent) => ['github', 'github-partner', 'risc', 'azure'].includes(sent.source) && !hasToken(sent),
      ),
      4_000,
    );
    one.now += 400 * 24 * 3600_000;
    await replay(
      fresh.filter(({ source }) => source === 'github-partner'),
      4_000,
    );
  },
);

test('a flood that is validly signed has no 60 minutes with more than its budget, wherever they begin', async () => {
  const one = await world();
  const { perHour = 0, maxCredentials } = one.services.policy;
  for (let n = 0; n < 20; n++) one.add(`db-${n}`, `${LEAKED}-${n}`);
  const taken: number[] = [];
  const revoked: number[] = [];
  let refused = 0;
  // Three hours, from the middle of one.
  for (one.now += 1800_000; one.now < Date.parse('2026-11-26T13:30:00.000Z'); one.now += 10_000) {
    const n = taken.length + refused;
    const begun = one.emergencies.length;
    const { response } = await one.send(await one.signed('siem', `${LEAKED}-${n % 20}`, n));
    if (response.statusCode === 429) refused++;
    else taken.push(one.now);
    if (one.emergencies.length > begun) revoked.push(one.now);
  }
  const most = (times: readonly number[]): number =>
    Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 3600_000).length));
  expect([most(taken), most(revoked)]).toEqual([perHour, maxCredentials]);
  expect(refused).toBeGreaterThan(800);
  expect(one.writes.filter((write) => write === 'mark').length).toBe(taken.length);
  // In many small ones or in one: what is above the cap waits for people.
  expect(one.kept.size).toBeGreaterThan(0);
});
