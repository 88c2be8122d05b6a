import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { problemOf } from '../../../shared/api/problems.ts';
import { credentialView } from '../../../shared/api/views.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Holder } from '../../../shared/domain/holders.ts';
import { credentialOf, SUBSCRIPTION } from '../api/fakes.ts';
import { rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
  api.routes['GET /v1/credentials'] = { body: { credentials: [] } };
});
afterEach(() => api.close());

const { to } = SUBSCRIPTION;
const NEED = { of: to, text: 'its policy has to let this rule in', statement: { Action: 'sqs:SendMessage' } };
const answer = (changes: object = {}) => ({
  body: { outcome: 'subscribed', dryRun: false, subscription: SUBSCRIPTION, needs: [NEED], ...changes },
});
const posts = () => api.seen.filter(({ method }) => method === 'POST');
const held = (...holders: Holder[]) => ({
  body: { credentials: [credentialView(credentialOf({ holders }))] },
});

describe('rekey subscribe', () => {
  const path = 'POST /v1/subscriptions';

  it('sends what was asked for, and prints what the target has to allow', async () => {
    api.routes[path] = answer();
    const args = ['subscribe', 'shop', '--to', to, '--events', 'halt, resume', '--dead-letter', 'arn:dead'];
    const { exit, stdout } = await rekey(api, args);
    expect(exit).toBe(0);
    expect(posts()[0]?.body).toEqual({
      fleet: 'shop',
      to,
      events: ['halt', 'resume'],
      deadLetter: 'arn:dead',
      dryRun: false,
    });
    expect(posts()[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
    expect(stdout).toMatch(/subscribed: shop to arn:[\s\S]*"Action": "sqs:SendMessage"/);
  });

  it('with --all is for every fleet', async () => {
    api.routes[path] = answer({ subscription: { ...SUBSCRIPTION, fleet: '*' } });
    const { stdout } = await rekey(api, ['subscribe', '--all', '--to', to]);
    expect(posts()[0]?.body).toEqual({ fleet: '*', to, dryRun: false });
    expect(stdout).toContain('subscribed: every fleet to');
  });

  it('says which credentials the fleet has, and tells of a fleet that nobody is of', async () => {
    api.routes[path] = answer();
    const nobody = await rekey(api, ['subscribe', 'shop', '--to', to]);
    expect(nobody.stderr).toContain('No credential has a holder of the fleet shop');
    const principal = 'arn:aws:iam::111122223333:role/checkout';
    api.routes['GET /v1/credentials'] = held({ kind: 'client', name: 'checkout', principal, fleet: 'shop' });
    const known = await rekey(api, ['subscribe', 'shop', '--to', to]);
    expect([known.stdout, known.stderr]).toEqual([
      expect.stringContaining('Credentials of this fleet: orders-db'),
      expect.not.stringContaining('No credential'),
    ]);
    api.routes['GET /v1/credentials'] = held({ kind: 'polling', name: 'shop', ttlSeconds: 60 });
    expect((await rekey(api, ['subscribe', 'shop', '--to', to])).stderr).not.toContain('No credential');
  });

  it('with --dry-run changes nothing and says so', async () => {
    api.routes[path] = answer({ dryRun: true });
    const { stdout } = await rekey(api, ['subscribe', 'shop', '--to', to, '--dry-run']);
    expect(posts()[0]?.body).toMatchObject({ dryRun: true });
    expect(stdout).toMatch(/would be subscribed[\s\S]*Nothing was changed/);
  });

  it('gives a refusal as it is', async () => {
    const refused = problemOf(new RekeyError('ERR_CAPACITY', 'full', { remedy: 'subscribe one topic' }));
    api.routes[path] = { status: refused.status, body: refused, type: 'application/problem+json' };
    const { exit, stderr } = await rekey(api, ['subscribe', 'shop', '--to', to]);
    expect([exit, stderr]).toEqual([1, expect.stringMatching(/full[\s\S]*subscribe one topic/)]);
  });

  it.each([
    [['subscribe', 'shop']],
    [['subscribe', '--to', to]],
    [['subscribe', 'shop', '--all', '--to', to]],
    [['subscribe', '', '--to', to]],
    [['subscribe', 'shop', '--to', '']],
    [['subscribe', 'shop', '--to', to, '--events', 'rotated,birthday']],
    [['subscribe', 'shop', '--to', to, '--events', '']],
    [['unsubscribe']],
    [['unsubscribe', 'shop', '--all']],
  ])('%j is wrong usage: nothing is sent', async (args) => {
    expect((await rekey(api, args)).exit).toBe(2);
    expect(api.seen).toEqual([]);
  });
});

describe('rekey subscriptions', () => {
  const path = 'GET /v1/subscriptions';

  it('walks the pages, and points at what delivers nothing', async () => {
    const broken = { ...SUBSCRIPTION, fleet: 'search', state: 'incomplete' };
    const altered = { ...SUBSCRIPTION, fleet: '', state: 'altered' };
    api.routes[path] = ({ query }) =>
      query['page'] === undefined
        ? { body: { subscriptions: [SUBSCRIPTION], next: 'two' } }
        : { body: { subscriptions: [broken, altered] } };
    const { stdout, stderr } = await rekey(api, ['subscriptions']);
    expect(stdout).toMatch(/shop +arn:\S+ +rotated, halt +delivering +2026-11-22/);
    expect(stdout).toMatch(/search .*incomplete/);
    expect(stdout).toContain(`(rule subscription-${SUBSCRIPTION.id})`);
    expect(stderr).toContain('subscribe it again');
    expect((await rekey(api, ['subscriptions', 'shop'])).stdout).not.toContain('search');
  });

  it('says how to make the first', async () => {
    api.routes[path] = { body: { subscriptions: [] } };
    expect((await rekey(api, ['subscriptions'])).stdout).toContain('rekey subscribe');
  });
});

describe('rekey unsubscribe', () => {
  const other = { ...SUBSCRIPTION, id: 'ffffffffffffffffffff', to: `${to}-2` };
  const list = (...subscriptions: object[]) => {
    api.routes['GET /v1/subscriptions'] = { body: { subscriptions } };
  };
  for (const id of [SUBSCRIPTION.id, other.id]) {
    it(`ends the subscription of the fleet and target (${id})`, async () => {
      list(SUBSCRIPTION, other, { ...SUBSCRIPTION, fleet: 'search', id: 'a' });
      api.routes[`POST /v1/subscriptions/${id}/end`] = {
        body: { outcome: 'unsubscribed', dryRun: false, id },
      };
      const target = id === other.id ? other.to : to;
      const { exit, stdout } = await rekey(api, ['unsubscribe', 'shop', '--to', target]);
      expect([exit, stdout]).toEqual([0, expect.stringContaining(`unsubscribed: shop from ${target}`)]);
      expect(posts()).toMatchObject([{ path: `/v1/subscriptions/${id}/end`, body: { dryRun: false } }]);
    });
  }

  it('asks which one where the fleet has several, and says where it has none', async () => {
    list(SUBSCRIPTION, other);
    const several = await rekey(api, ['unsubscribe', 'shop']);
    expect([several.exit, several.stderr]).toEqual([1, expect.stringContaining(`--to: ${to}, ${to}-2`)]);
    const none = await rekey(api, ['unsubscribe', 'search']);
    expect([none.exit, none.stderr]).toEqual([1, expect.stringContaining('rekey subscriptions')]);
    expect(posts()).toEqual([]);
  });
});
