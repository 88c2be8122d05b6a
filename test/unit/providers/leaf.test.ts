import { randomUUID, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import { isHeld } from '../../../shared/domain/directory.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { LeafMaterial } from '../../../shared/providers/leaf/material.ts';
import { leafProvider as provider } from '../../../shared/providers/leaf/provider.ts';
import type { Issued } from '../../../shared/providers/provider.ts';
import { leafHarness, LeafWorld } from '../../contract/cases/leaf.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import type { DirectoryFault } from '../../support/directory.ts';
import { openssl } from '../../support/openssl.ts';
import { TlsPeer, type PeerIdentity } from '../../support/tls-peer.ts';

const HOUR_MS = 3_600_000;
const DAY = 86_400;
const TWO_DAYS = 2 * DAY;

describe('keys that Rekey makes for holders', () => {
  describeProvider('Keys that Rekey makes', leafHarness());

  let world: LeafWorld;
  beforeAll(async () => {
    world = await LeafWorld.start();
  });
  afterAll(async () => world[Symbol.asyncDispose]());

  let count = 0;

  /** A credential under an authority of its own, whose steps are led as the engine leads them. */
  async function begin(of: object = {}) {
    const authority = await world.authority(`ca-${++count}`, of);
    const common = { authority: authority.name, trustDomain: 'shop.example', holder: `lb-${count}` };
    const target = provider.target({ ...common, leafSeconds: authority.target.leafSeconds });
    const ctx = world.context();
    let generation = 0;
    const issue = async (
      current?: Issued<LeafMaterial>,
      token: string = randomUUID(),
    ): Promise<Issued<LeafMaterial>> =>
      provider.issue(target, token, {
        ...ctx,
        generation: ++generation,
        ...(current === undefined ? {} : { current: current.handle }),
      });
    const rotate = async (current?: Issued<LeafMaterial>): Promise<Issued<LeafMaterial>> => {
      const issued = await issue(current);
      await provider.activate?.(target, '', issued, ctx);
      await provider.verify(target, issued.material, ctx);
      return issued;
    };
    const end = async ({ handle }: Issued<LeafMaterial>) =>
      provider.revoke(target, handle, { endSessions: false }, ctx);
    return { authority, target, ctx, issue, rotate, end, common };
  }
  const pem = ({ material }: Issued<LeafMaterial>): string => material.reveal().certificate;
  const endOf = (issued: Issued<LeafMaterial>): number =>
    new X509Certificate(pem(issued)).validToDate.getTime();
  const takes = async ({ material }: Issued<LeafMaterial>): Promise<boolean> =>
    world.takes(material.reveal());

  it('are a secret with the certificate, its key, its authority and where the bundle is', async () => {
    const { rotate, target } = await begin();
    const { material } = await rotate();
    const { id, certificate, privateKey, chain, bundle, ...rest } = material.reveal();
    expect(rest).toEqual({});
    expect(id).toBe(`spiffe://shop.example/agent/${target.holder}`);
    expect(bundle).toBe(`${world.served.url}/bundles/${target.authority}`);
    const files = { 'leaf.pem': certificate, 'key.pem': privateKey, 'ca.pem': chain };
    expect(openssl(['x509', '-in', 'leaf.pem', '-noout', '-ext', 'subjectAltName'], files).output).toContain(
      `URI:${id}`,
    );
    const publicOf = (args: string[]): string => openssl(args, files).output;
    expect(publicOf(['pkey', '-in', 'key.pem', '-pubout'])).toBe(
      publicOf(['x509', '-in', 'leaf.pem', '-noout', '-pubkey']),
    );
    const now = String(Math.floor(world.now / 1000));
    expect(openssl(['verify', '-attime', now, '-CAfile', 'ca.pem', 'leaf.pem'], files).ok).toBe(true);
  });

  it('serve both ends of mutual TLS by Node: old and new in the window, and not the old one once it has ended', async () => {
    // Node knows no other clock.
    const before = world.now;
    world.now = Date.now();
    const { rotate, end, target } = await begin();
    const listed = async (): Promise<string[]> => {
      await world.signLists(target.authority);
      const text = await (await fetch(`${world.served.url}/crl/${target.authority}`)).text();
      return text.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g) ?? [];
    };
    const identity = async ({ material }: Issued<LeafMaterial>): Promise<PeerIdentity> => {
      const { certificate: cert, privateKey: key, bundle } = material.reveal();
      return { cert, key, ca: await (await fetch(bundle)).text(), crl: await listed() };
    };
    const first = await rotate();
    const second = await rotate(first);
    await using one = await TlsPeer.start(await identity(first));
    await using other = await TlsPeer.start(await identity(second));
    await one.greet(other);
    await other.greet(one);
    await end(first);
    other.use(await identity(second));
    await expect(one.greet(other)).rejects.toThrow();
    await expect(other.greet(one)).rejects.toThrow();
    await other.greet(other);
    world.now = before;
  });

  it('that ended are on the list of their authority, by their serial number alone', async () => {
    const { rotate, end, authority, target } = await begin();
    const first = await rotate();
    const second = await rotate(first);
    expect(await end(first)).toMatchObject({
      confirmed: true,
      detail: expect.stringContaining('on the list'),
    });
    const [id] = authority.handles.map((handle) => handle.id);
    const list = await world.served.revocations.read(target.authority, id ?? '');
    expect(list?.revoked.map(({ serial }) => serial)).toEqual([first.handle.id]);
    expect([await takes(first), await takes(second)]).toEqual([false, true]);
  });

  it('are on record before they are signed, as those that agents ask for', async () => {
    const { issue, authority } = await begin();
    world.kms.denied.add('Sign');
    await expect(issue()).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
    world.kms.denied.clear();
    const { handle } = await issue();
    const recorded = [...world.served.leaves.values()].filter(
      (leaf) => leaf.authority === authority.handles[0]?.id,
    );
    expect(recorded).toHaveLength(2);
    expect(recorded.at(-1)).toMatchObject({ serial: handle.id, caller: 'Rekey, which keeps the key' });
  });

  it('never outlive their authority, and the end that is told is theirs', async () => {
    const { target, rotate, authority } = await begin({ caSeconds: 7 * DAY });
    const [entry] = world.served.directory.sets.get(`bundles/${authority.name}`)?.entries ?? [];
    const authorityEnds = Date.parse(entry?.notAfter ?? '');
    const from = toInstant(world.now);
    expect(provider.endsAt?.(target, from, DAY)).toBe(toInstant(Date.parse(from) + TWO_DAYS * 1000));
    const before = world.now;
    world.now = authorityEnds - HOUR_MS;
    const late = await rotate();
    expect(endOf(late)).toBe(authorityEnds);
    expect(provider.endsAt?.(target, from, DAY, late.material)).toBe(toInstant(authorityEnds));
    world.now = authorityEnds;
    await expect(rotate(late)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    world.now = before;
  });

  it('under a new authority: the next one is of it, and the old one counts as long as the former is trusted', async () => {
    const { rotate, authority } = await begin();
    const first = await rotate();
    world.now += HOUR_MS;
    await authority.rotate();
    expect(await takes(first)).toBe(true);
    const second = await rotate(first);
    expect(second.material.reveal().chain).not.toBe(first.material.reveal().chain);
    expect([await takes(first), await takes(second)]).toEqual([true, true]);
  });

  it('die with their authority in its emergency, which is told, and the next one is of what takes its place', async () => {
    const { target, ctx, rotate, issue, authority, end } = await begin();
    const first = await rotate();
    const [compromised] = authority.handles;
    if (compromised === undefined) throw new Error('there is no authority');
    authority.status = 'halted';
    await authority.revoke({ ...compromised, generation: 1 });
    expect(await takes(first)).toBe(false);
    await expect(provider.verify(target, first.material, ctx)).rejects.toMatchObject({
      code: 'ERR_REJECTED',
    });
    expect(await provider.deactivation?.(target, first.handle, ctx)).toMatchObject({
      confirmed: true,
      detail: expect.stringContaining('with its authority'),
    });
    // Until another one signs it is tried again.
    await expect(issue(first)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', retryable: true });
    await authority.rotate(true);
    authority.status = 'active';
    expect(await end(first)).toMatchObject({ confirmed: true });
    const second = await rotate(first);
    expect(await takes(second)).toBe(true);
  });

  it('are not made by an authority that is halted, although verifiers trust it for another moment', async () => {
    const { issue, authority } = await begin();
    authority.status = 'halted';
    await expect(issue()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
  });

  it('are ended where the ledger does not answer, and where nobody knows their authority any more', async () => {
    const { target, rotate, ctx, authority } = await begin();
    const first = await rotate();
    world.authorities.delete(authority.name);
    const { registered: _none, ...without } = ctx;
    const done = await provider.revoke(target, first.handle, { endSessions: true }, without);
    expect([done.confirmed, await takes(first)]).toEqual([true, false]);
  });

  it('that somebody has put on the list of their authority are refused', async () => {
    const { target, rotate, ctx, authority } = await begin();
    const { handle, material } = await rotate();
    const { revocations } = world.served;
    const at = toInstant(world.now);
    const list = { set: authority.name, authority: authority.handles[0]?.id ?? '', version: 0, changedIn: 1 };
    await revocations.write({ ...list, revoked: [{ serial: handle.id, revokedAt: at, notAfter: at }] });
    await expect(provider.verify(target, material, ctx)).rejects.toMatchObject({
      code: 'ERR_REJECTED',
      message: expect.stringContaining('on the list'),
    });
  });

  it.each([
    ['before it counts', (start: number) => start - 301_000],
    ['after its end', (start: number) => start + TWO_DAYS * 1000],
  ])('are refused %s', async (_when, at) => {
    const { target, rotate, ctx } = await begin();
    const start = world.now;
    const { material } = await rotate();
    const then = { ...ctx, clock: () => at(start) };
    await expect(provider.verify(target, material, then)).rejects.toMatchObject({ code: 'ERR_REJECTED' });
  });

  it.each([
    ['is not registered', 'authority', async () => ({ authority: 'nobody' })],
    ['vouches for another trust domain', 'trustDomain', async () => ({ trustDomain: 'other.example' })],
    [
      'trusts what it has signed for less',
      'leafSeconds',
      async () => ({ authority: (await world.authority('short', { leafSeconds: 3600 })).name }),
    ],
    [
      'is in AWS Private CA',
      'authority',
      async () => {
        const { name } = Object.assign(await world.authority('private'), { provider: 'private-ca' });
        return { authority: name };
      },
    ],
    [
      'gives the holder certificates of its own',
      'holder',
      async () => {
        const made = await world.authority('asked');
        const principal = 'arn:aws:iam::111122223333:role/own';
        made.holders = [{ kind: 'polling', name: 'own', ttlSeconds: 60, principal }];
        return { authority: made.name, holder: 'own' };
      },
    ],
  ])('are refused at registration where the authority %s', async (_what, field, change) => {
    const { common, ctx } = await begin();
    const target = provider.target({ ...common, ...(await change()) });
    const refusal = { code: 'ERR_DECLARATION', field: `target.${field}`, remedy: expect.any(String) };
    await expect(provider.preflight(target, ctx)).rejects.toMatchObject(refusal);
  });

  it('are refused under what is no authority, as another of their own', async () => {
    const { common, target } = await begin();
    const registered = async () =>
      Promise.resolve({
        type: 'certificate-authority',
        provider: 'leaf',
        status: 'active',
        target,
        holders: [],
      } as const);
    const wanted = provider.target(common);
    await expect(provider.preflight(wanted, { ...world.context(), registered })).rejects.toMatchObject({
      field: 'target.authority',
    });
  });

  it('of a credential that was let go of keep its name until they have ended', async () => {
    const { target, rotate } = await begin();
    const first = await rotate();
    const again = async () => provider.issue(target, randomUUID(), { ...world.context(), generation: 7 });
    await expect(again()).rejects.toMatchObject({
      code: 'ERR_CAPACITY',
      field: 'target.holder',
      remedy: expect.stringContaining(toInstant(endOf(first))),
    });
    const before = world.now;
    world.now = endOf(first);
    await again();
    world.now = before;
  });

  it('are rotated by half of their life', () => {
    const declared = { authority: 'shop-ca', trustDomain: 'shop.example', holder: 'lb' };
    expect(provider.demands?.(provider.target(declared))).toMatchObject({ maxIntervalSeconds: DAY });
    expect(provider.demands?.(provider.target({ ...declared, leafSeconds: 3601 }))).toMatchObject({
      maxIntervalSeconds: 1800,
    });
  });

  it.each([
    [{ holder: 'a/b' }, 'holder'],
    [{ instance: '../x' }, 'instance'],
    [{ leafSeconds: TWO_DAYS + 1 }, 'leafSeconds'],
    [{ trustDomain: 'Shop' }, 'trustDomain'],
    [{ authority: 'Shop CA' }, 'authority'],
  ])('refuse %o', (wrong, field) => {
    const declared = { authority: 'shop-ca', trustDomain: 'shop.example', holder: 'lb', ...wrong };
    expect(() => provider.target(declared)).toThrow(
      expect.objectContaining({ code: 'ERR_DECLARATION', field: `target.${field}` }),
    );
  });

  describe('when the directory goes wrong', () => {
    const SECOND = '00000000-0000-4000-8000-00000000000b';

    async function scene(step: string) {
      const one = await begin();
      const first = await one.rotate();
      const issue = async () =>
        provider.issue(one.target, SECOND, { ...one.ctx, generation: 2, current: first.handle });
      const made: { second?: Issued<LeafMaterial> } = {};
      if (step === 'activate') made.second = await issue();
      const steps: Readonly<Record<string, () => Promise<unknown>>> = {
        issue: async () => (made.second = await issue()),
        activate: async () => made.second && provider.activate?.(one.target, SECOND, made.second, one.ctx),
        revoke: async () => one.end(first),
      };
      return { ...one, first, made, act: steps[step] ?? (async () => Promise.reject(new Error(step))) };
    }

    it.each(['issue', 'activate', 'revoke'])(
      '%s: fails for the moment, and repeated ends as it should',
      async (step) => {
        const { directory } = world.served;
        const counted = await scene(step);
        directory.arm();
        await counted.act();
        const calls = directory.calls.length;
        expect(calls).toBeGreaterThan(0);
        for (let at = 1; at <= calls; at++) {
          for (const mode of ['before', 'lost'] as const) {
            const { act, first, made, target } = await scene(step);
            const fault: DirectoryFault = { at, mode };
            directory.arm(fault);
            const failure: unknown = await act().then(
              () => undefined,
              (error: unknown) => error,
            );
            expect(failure, `${step} ${at} ${mode}`).toBeInstanceOf(RekeyError);
            expect(failure).toMatchObject({ code: 'ERR_UNAVAILABLE', retryable: true });
            directory.arm();
            await act();
            await act();
            const set = `leaves/spiffe://shop.example/agent/${target.holder}`;
            const held = directory.sets
              .get(set)
              ?.entries.filter(isHeld)
              .map(({ id }) => id);
            const wanted = [
              ...(step === 'revoke' ? [] : [first]),
              ...(made.second === undefined ? [] : [made.second]),
            ];
            expect(held).toEqual(wanted.map(({ handle }) => handle.id));
            // Of a key nothing is kept sealed that was handed over.
            const sealed = [...directory.parts.keys()].filter((key) => key.startsWith(`${set}/`));
            expect(sealed).toHaveLength(step === 'issue' ? 1 : 0);
            expect(await takes(first)).toBe(step !== 'revoke');
            if (made.second !== undefined) expect(await takes(made.second)).toBe(true);
          }
        }
      },
    );

    it('two that make one at once under one token get the same', async () => {
      const { target, ctx, first } = await scene('issue');
      const own = { ...ctx, generation: 2, current: first.handle };
      const [one, other] = await Promise.all([1, 2].map(async () => provider.issue(target, SECOND, own)));
      expect(one?.handle).toEqual(other?.handle);
      expect(one?.material.reveal()).toEqual(other?.material.reveal());
    });
  });
});
