import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PrivateCaMaterial, PrivateCaTarget } from '../../../shared/providers/private-ca/material.ts';
import { privateCaProvider as provider } from '../../../shared/providers/private-ca/provider.ts';
import type { Issued } from '../../../shared/providers/provider.ts';
import { leafWithKey, privateCaCase } from '../../contract/cases/private-ca.ts';
import { opensslTakes } from '../../contract/cases/x509.ts';
import { describeIdentityFaults } from '../../contract/describe-identity-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { identityHarness } from '../../contract/identity-harness.ts';
import { FakePrivateCa, type FakeAuthority } from '../../fakes/private-ca.ts';
import { TlsPeer } from '../../support/tls-peer.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

const HOUR_MS = 3_600_000;
const EMERGENCY = { endSessions: true, compromised: true };
const token = (each: number): string => `00000000-0000-4000-8000-${String(each).padStart(12, '0')}`;

describe('authorities of AWS Private CA', () => {
  let fake: FakePrivateCa;
  beforeAll(async () => {
    fake = await FakePrivateCa.start();
  });
  afterAll(async () => fake[Symbol.asyncDispose]());
  const its = privateCaCase(() => fake);

  describeProvider('AWS Private CA', identityHarness(its));
  describeIdentityFaults('AWS Private CA', its);

  const harness = identityHarness(its);
  takeNoTimeToWait();
  beforeAll(async () => harness.start());
  afterAll(async () => harness.stop());
  beforeEach(() => {
    fake.server.heal();
    fake.denied.clear();
    fake.slowness = 1;
  });

  let count = 0;

  /** A credential with these authorities, in their order. */
  async function begin(...changes: Parameters<FakePrivateCa['add']>[0][]) {
    const made: FakeAuthority[] = [];
    for (const each of changes) made.push(await fake.add(each));
    const name = `own-${++count}`;
    const declare = (authorities: readonly FakeAuthority[]): PrivateCaTarget =>
      provider.target({ name, trustDomain: 'shop.example', authorities: authorities.map(({ arn }) => arn) });
    const scene = { target: declare(made), now: Date.now() };
    const ctx = { ...harness.context(scene.target), clock: () => scene.now };
    harness.served().clock = () => scene.now;
    let generation = 0;
    const issue = async (current?: Issued<PrivateCaMaterial>): Promise<Issued<PrivateCaMaterial>> => {
      generation++;
      const own = { ...ctx, generation, ...(current === undefined ? {} : { current: current.handle }) };
      const issued = await provider.issue(scene.target, token(generation), own);
      await provider.activate?.(scene.target, token(generation), issued, ctx);
      return issued;
    };
    const revoke = async ({ handle }: Issued<PrivateCaMaterial>, options = { endSessions: false }) =>
      provider.revoke(scene.target, handle, options, ctx);
    const bundle = async () => (await fetch(`${harness.served().url}/bundles/${name}`)).text();
    const states = () =>
      harness
        .served()
        .directory.sets.get(`bundles/${name}`)
        ?.entries.map(({ state, ref }) => [state, made.findIndex(({ arn }) => arn === ref)]);
    return { scene, made, declare, ctx, issue, revoke, bundle, states, name };
  }

  it('are taken in the order of the declaration, and those that are spent are passed over', async () => {
    const { issue, states, made } = await begin({}, { status: 'DISABLED' }, {}, {});
    const { material } = await issue();
    expect(material.reveal().authorityArn).toBe(made[0]?.arn);
    expect(states()).toEqual([
      ['live', 0],
      ['next', 2],
    ]);
  });

  it.each([
    [
      'has no certificate yet',
      { status: 'PENDING_CERTIFICATE' as const },
      'its status is PENDING_CERTIFICATE',
    ],
    ['was deleted', { status: 'DELETED' as const }, 'its status is DELETED'],
    ['is under another root', { type: 'SUBORDINATE' as const }, 'it is not a root'],
    ['has a key of another kind', { keyAlgorithm: 'RSA_2048' }, 'its key is RSA_2048'],
    ['ends before three intervals are over', { days: 90 }, 'it has to last until'],
  ])('are not taken where one %s: nothing is registered, and it is said why', async (_what, second, why) => {
    const { issue, states, made } = await begin({}, second);
    await expect(issue()).rejects.toMatchObject({
      code: 'ERR_CAPACITY',
      field: 'target.authorities',
      message: expect.stringContaining(`${made[1]?.arn}: ${why}`),
    });
    expect(states()).toBeUndefined();
  });

  it('are refused where their tags are missing, with what to do', async () => {
    const { issue } = await begin({}, { tagged: false });
    await expect(issue()).rejects.toMatchObject({
      code: 'ERR_ADMIN_DENIED',
      remedy: expect.stringMatching(/tags/),
    });
  });

  it('that are none left stop a rotation before anything changes, and say so a rotation ahead', async () => {
    const { scene, made, declare, ctx, issue, states } = await begin({}, {});
    const first = await issue();
    const notices = await provider.outlook?.(scene.target, ctx);
    expect(notices).toEqual([
      {
        field: 'target.authorities',
        message: 'no certificate authority is left for the next rotation',
        remedy: expect.stringContaining('append its ARN'),
      },
    ]);
    scene.now += HOUR_MS;
    const before = states();
    await expect(issue(first)).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
    expect(states()).toEqual(before);
    made.push(await fake.add());
    scene.target = declare(made);
    expect(await provider.outlook?.(scene.target, ctx)).toEqual([]);
    await issue(first);
    expect(states()).toEqual([
      ['live', 0],
      ['live', 1],
      ['next', 2],
    ]);
  });

  it('in an emergency the next one signs also where none is left; a later rotation publishes first, and waits', async () => {
    const { scene, made, declare, issue, revoke, states } = await begin({}, {});
    await revoke(await issue(), EMERGENCY);
    const second = await issue();
    expect(states()).toEqual([
      ['ended', 0],
      ['live', 1],
    ]);
    made.push(await fake.add(), await fake.add());
    scene.target = declare(made);
    await expect(issue(second)).rejects.toMatchObject({ code: 'ERR_NOT_PROPAGATED' });
    scene.now += HOUR_MS;
    await issue(second);
    expect(states()?.slice(1)).toEqual([
      ['live', 1],
      ['live', 2],
      ['next', 3],
    ]);
  });

  it('that another credential has taken or published are passed over, however many declare them', async () => {
    const one = await begin({}, {}, {});
    await one.issue();
    const other = await begin({}, {});
    const [first, second, third] = one.made;
    other.made.unshift(...one.made);
    other.scene.target = other.declare(other.made);
    // The third is nobody's yet.
    const { material } = await other.issue();
    expect(material.reveal().authorityArn).toBe(third?.arn);
    expect(other.states()).toEqual([
      ['live', 2],
      ['next', 3],
    ]);
    expect(await provider.outlook?.(one.scene.target, one.ctx)).toMatchObject([
      { message: expect.stringContaining(`${third?.arn}: another credential has it`) },
    ]);
    const last = await begin({}, {});
    last.scene.target = last.declare([first, second].filter((each) => each !== undefined));
    await expect(last.issue()).rejects.toMatchObject({
      code: 'ERR_CAPACITY',
      message: expect.stringContaining(`${first?.arn}: another credential has it`),
    });
    expect(last.states()).toBeUndefined();
  });

  it('issue nothing any more at AWS once they are ended, and are never taken again', async () => {
    const { made, issue, revoke, bundle, name } = await begin({}, {}, {});
    const first = await issue();
    const { cert } = await leafWithKey(fake, first.material.reveal());
    expect(await opensslTakes(harness.served().url, name, cert)).toBe(true);
    for (let twice = 0; twice < 2; twice++) expect(await revoke(first)).toMatchObject({ confirmed: true });
    expect(made.map(({ status }) => status)).toEqual(['DISABLED', 'ACTIVE', 'ACTIVE']);
    await expect(leafWithKey(fake, first.material.reveal())).rejects.toMatchObject({ code: 'ERR_REJECTED' });
    expect(its.shown?.(await bundle())).not.toContain(first.handle.id);
    expect(await opensslTakes(harness.served().url, name, cert)).toBe(false);
    // Whoever enables it again has not put it back.
    if (made[0] !== undefined) made[0].status = 'ACTIVE';
    const second = await issue();
    expect(second.material.reveal().authorityArn).toBe(made[1]?.arn);
  });

  it('are never taken again, however many have ended since, as long as they are declared', async () => {
    const { made, issue, revoke, states } = await begin(...Array.from({ length: 23 }, () => ({})));
    for (let each = 0; each < 22; each++) await revoke(await issue(), EMERGENCY);
    if (made[0] !== undefined) made[0].status = 'ACTIVE';
    await issue();
    expect(states()?.filter(([state]) => state !== 'ended')).toEqual([['live', 22]]);
  });

  it('that somebody has deleted are ended with success', async () => {
    const { made, issue, revoke } = await begin({}, {});
    const first = await issue();
    if (made[0] !== undefined) made[0].status = 'DELETED';
    expect(await revoke(first)).toMatchObject({ confirmed: true });
  });

  it('leave the bundle also where AWS refuses to disable them, and that is tried again', async () => {
    const { issue, revoke, bundle } = await begin({}, {});
    const first = await issue();
    fake.denied.add('UpdateCertificateAuthority');
    await expect(revoke(first)).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
    expect(its.shown?.(await bundle())).not.toContain(first.handle.id);
    fake.denied.clear();
    expect(await revoke(first)).toMatchObject({ confirmed: true });
  });

  it('are proved by a certificate that verifiers would take, however long it takes to issue', async () => {
    const { scene, ctx, issue, made } = await begin({}, {});
    const { material } = await issue();
    fake.slowness = 5;
    await expect(provider.verify(scene.target, material, ctx)).resolves.toBeUndefined();
    fake.slowness = 1000;
    await expect(provider.verify(scene.target, material, ctx)).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
    });
    fake.slowness = 0;
    if (made[0] !== undefined) made[0].status = 'DISABLED';
    await expect(provider.verify(scene.target, material, ctx)).rejects.toMatchObject({
      code: 'ERR_REJECTED',
    });
  });

  it.each(['DescribeCertificateAuthority', 'GetCertificateAuthorityCertificate'])(
    'are found again once AWS answers, where it did not answer %s',
    async (operation) => {
      const { issue, states } = await begin({}, {});
      const on = ({ headers }: { readonly headers: NodeJS.Dict<string | string[]> }): boolean =>
        headers['x-amz-target'] === `ACMPrivateCA.${operation}`;
      fake.server.fail({ kind: 'reset' }, on, 4);
      await expect(issue()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', retryable: true });
      expect(states()).toBeUndefined();
      fake.server.heal();
      await issue();
      expect(states()).toEqual([
        ['live', 0],
        ['next', 1],
      ]);
    },
  );

  it('tell of less than 14 days left of the one that signs', async () => {
    const { scene, ctx, issue } = await begin({ days: 200 }, { days: 200 }, { days: 400 });
    await issue();
    expect(await provider.preflight(scene.target, ctx)).toEqual([]);
    scene.now += 187 * 24 * HOUR_MS;
    expect(await provider.preflight(scene.target, ctx)).toEqual([
      expect.objectContaining({
        message: expect.stringContaining('the certificate authority that signs ends'),
      }),
    ]);
  });

  it('are two at least, each once, and authorities of AWS Private CA', async () => {
    const { made } = await begin({}, {});
    const [arn = ''] = made.map((each) => each.arn);
    const kms = 'arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-4333-8444-555555555555';
    for (const authorities of [[], [arn], [arn, arn], [arn, kms]]) {
      expect(() => provider.target({ name: 'shop', trustDomain: 'shop.example', authorities })).toThrow(
        expect.objectContaining({ code: 'ERR_DECLARATION', field: expect.stringContaining('authorities') }),
      );
    }
  });

  it('let peers of Node’s TLS greet each other through a rotation; who has one of the old authority is refused after it', async () => {
    const { scene, issue, revoke, bundle } = await begin({}, {}, {});
    const first = await issue();
    const one = { ...(await leafWithKey(fake, first.material.reveal())), ca: await bundle() };
    await using server = await TlsPeer.start(one);
    await using client = await TlsPeer.start(one);
    const both = async () => Promise.all([client.greet(server), server.greet(client)]);
    await both();
    scene.now += HOUR_MS;
    const second = await issue(first);
    const renewed = { ...(await leafWithKey(fake, second.material.reveal())), ca: await bundle() };
    client.use(renewed); // The server has neither a new certificate nor a new bundle yet.
    await both();
    server.use(renewed);
    await both();
    await revoke(first);
    const after = { ...renewed, ca: await bundle() };
    server.use(after);
    client.use(after);
    await both();
    client.use({ ...one, ca: after.ca });
    await expect(client.greet(server)).rejects.toThrow();
  });

  it('meet nothing in the calls of these tests that AWS’s own description has otherwise', () => {
    expect(fake.violations).toEqual([]);
    expect(fake.checked).toBeGreaterThan(200);
  });
});
