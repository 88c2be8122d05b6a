import { X509Certificate } from 'node:crypto';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { rekeyJson } from '../../local/demo/rekey.ts';
import { directoryUrl } from '../../local/demo/directory.ts';
import type { World } from '../../local/demo/world.ts';
import type { CertificateRevoked, EmergencyAnswer } from '../../shared/api/messages.ts';
import type { JwksMaterial } from '../../shared/providers/jwks/material.ts';
import { taken } from '../contract/cases/jwks.ts';
import { judgedByList, statusOf, type Shown } from './certificate-status.ts';
import { HandshakeLoad, type Trust } from './handshake-load.ts';
import { IdentityLoad, jwksVerifiers, tokenVerifiers, type Check, type Revoked } from './identity-load.ts';
import { toldVerifiers } from './told-verifiers.ts';
import { nameOf, type PlayedUpstream } from './upstreams/played.ts';
import type { Watched } from './watched.ts';

/** What the tests of identities have in common with those of the other keys. */
export interface Leading {
  readonly world: World;
  readonly vault: SecretsManagerClient;
  readonly watched: Watched;
  readonly upstreams: readonly PlayedUpstream[];
  readonly read: (one: PlayedUpstream, stage?: string) => Promise<string>;
  /** Begins a rotation; its id. */
  readonly rotate: (one: PlayedUpstream) => Promise<string>;
  /** Waits until a rotation is in its window. */
  readonly inWindow: (one: PlayedUpstream, id: string) => Promise<void>;
  /** Keeps a line of figures for the end of `npm test`. */
  readonly count: (line: string) => void;
}

const ROTATIONS = 3;
const AGENTS = 4;
const TTL_MS = 1000;
/** After a revocation: caches of verifiers last for a second, and the machine is busy. */
const DEAD_WITHIN_MS = 5000;

/** The identities that are played, by what they are called in figures. */
export function identitiesOf(upstreams: readonly PlayedUpstream[]): {
  readonly keys: PlayedUpstream;
  readonly keysInKms: PlayedUpstream;
  readonly tokens: PlayedUpstream;
  readonly authorities: PlayedUpstream;
  readonly keptKeys: PlayedUpstream;
} {
  const named = (name: string): PlayedUpstream => {
    const found = upstreams.find((one) => nameOf(one) === name);
    if (found === undefined) throw new Error(`no ${name} is played`);
    return found;
  };
  return {
    keys: named('signing-key-jwks'),
    keysInKms: named('signing-key-jwks-kms'),
    tokens: named('agent-token-opaque'),
    authorities: named('certificate-authority-x509'),
    keptKeys: named('certificate-authority-leaf'),
  };
}

/** Agents and verifiers that go on through rotations and an emergency of all identities on deployed functions. */
export function testIdentitiesUnderLoad(deployed: () => Leading): void {
  test('identities: three rotations and an emergency under load, and no verifier refuses anything but what was revoked', async () => {
    const { world, upstreams, watched, read, rotate, count } = deployed();
    const { keys, keysInKms, tokens, authorities } = identitiesOf(upstreams);
    const trust = { credential: nameOf(authorities), set: 'shop-ca', principal: authorities.principal ?? '' };
    await using told = await toldVerifiers(world, nameOf(keys));
    await using handshakes = await HandshakeLoad.start(world, trust, AGENTS);
    const [first] = handshakes.authorities;
    const signed = (one: PlayedUpstream, set: string): Check =>
      jwksVerifiers(world, set, one.sign ?? never, AGENTS);
    const kinds = [
      { one: keys, what: 'signing keys', check: signed(keys, 'shop-agents') },
      { one: keysInKms, what: 'signing keys in KMS', check: signed(keysInKms, 'shop-kms') },
      { one: tokens, what: 'agent tokens', check: tokenVerifiers(world, 'shop-agent', 'orders', AGENTS) },
      {
        one: authorities,
        what: 'certificates',
        check: async (_value: string, agent: number) => handshakes.check(agent),
      },
    ];
    await using working = new AsyncDisposableStack();
    const loads = kinds.map(({ one, check }) =>
      working.use(new IdentityLoad(AGENTS, TTL_MS, async () => read(one), check)),
    );
    for (let round = 0; round < ROTATIONS; round++) {
      await Promise.all(
        kinds.map(async ({ one }) => {
          const id = await rotate(one);
          expect((await watched.over(nameOf(one), id)).phase).toBe('completed');
        }),
      );
    }
    expect(loads.map((load) => load.counted().failures)).toEqual(kinds.map(() => []));

    const { authorities: stolenFrom } = handshakes;
    const shown = handshakes.shown(0);
    expect(await statusOf(world, trust.set, shown)).toBe('good');
    expect(await statusOf(world, trust.set, shown, 'GET')).toBe('good');
    await revokedAlone(world, trust, handshakes.shown(1));
    expect(await judgedByList(shown)).toContain('leaf.pem: OK');
    const leaked = await Promise.all(kinds.map(async ({ one }) => read(one)));
    const [leakedKey = '', leakedKmsKey = ''] = leaked;
    await told.take(leakedKey);
    const early = await Promise.all([
      signedEarly(keys, 'shop-agents', leakedKey),
      signedEarly(keysInKms, 'shop-kms', leakedKmsKey),
    ]);
    const takes = async (): Promise<boolean[]> =>
      Promise.all(
        early.map(async ({ set, material, token }) => taken(directoryUrl(world), set, material, token)),
      );
    expect(await takes()).toEqual([true, true]);
    // Whoever has what leaked shows it without pause; nobody is halted, so that agents meet the emergency at work.
    const stolen = handshakes.thief();
    const thieves = kinds.map(({ one, check }, at) =>
      working.use(
        new IdentityLoad(
          1,
          Infinity,
          async () => Promise.resolve(leaked[at] ?? ''),
          one === authorities ? stolen : check,
        ),
      ),
    );
    await sleep(500);
    const ordered = performance.now();
    const names = kinds.map(({ one }) => nameOf(one));
    const ended = await rekeyJson<EmergencyAnswer>(
      ['revoke', ...names, '--incident', 'INC-10', '--reason', 'test', '--yes', '--wait'],
      world.env,
    );
    const doneMs = performance.now() - ordered;
    expect(ended.status).toBe('SUCCEEDED');
    await told.refuses(30_000);
    await handshakes.resume();
    expect(handshakes.authorities).toHaveLength(1);
    expect(handshakes.authorities).not.toContain(first);
    expect(await statusOf(world, trust.set, shown)).toBe('revoked');
    const before = loads.map((load) => load.counted().checks);
    await sleep(DEAD_WITHIN_MS);
    expect(await Promise.all(kinds.map(async ({ one }, at) => one.takes(leaked[at] ?? '')))).toEqual(
      kinds.map(() => false),
    );
    expect(await takes(), 'what a revoked key has signed').toEqual([false, false]);

    await Promise.all([...loads, ...thieves].map(async (load) => load.stop()));
    kinds.forEach(({ one, what }, at) => {
      const revoked: Revoked = {
        at: ordered,
        shown: one === authorities ? stolenFrom : [leaked[at] ?? ''],
      };
      const honest = loads[at]?.counted(revoked);
      const thief = thieves[at]?.counted(revoked);
      if (honest === undefined || thief === undefined) throw new Error('nobody worked');
      const died = Math.max(honest.lastTakenMs, thief.lastTakenMs);
      count(
        `${what}, ${ROTATIONS} rotations and an emergency under ${AGENTS} agents: ${honest.failures.length} of ${honest.checks} checks ` +
          `failed; what was revoked was refused ${honest.dead + thief.dead} times, last taken ${(died / 1000).toFixed(1)} s after the ` +
          `order (the emergency took ${(doneMs / 1000).toFixed(1)} s)`,
      );
      expect(honest.failures, what).toEqual([]);
      expect(thief.failures, what).toEqual([]);
      expect(thief.dead, what).toBeGreaterThan(10);
      expect(died, what).toBeLessThan(doneMs + DEAD_WITHIN_MS);
      expect(before[at] ?? 0, what).toBeGreaterThan(100);
      expect(honest.checks - (before[at] ?? 0), `${what} after the emergency`).toBeGreaterThan(20);
    });
  });
}

/** A token that is signed before its key is revoked, and would be valid for long after. */
async function signedEarly(
  { sign = never }: PlayedUpstream,
  set: string,
  secret: string,
): Promise<{ readonly set: string; readonly material: JwksMaterial; readonly token: string }> {
  const material = JSON.parse(secret) as JwksMaterial;
  return { set, material, token: await sign(material, 600) };
}

function never(): never {
  throw new Error('it signs nothing');
}

/** One certificate is revoked by itself: OCSP and the list say so at once. */
async function revokedAlone(world: World, { credential, set }: Trust, gone: Shown): Promise<void> {
  const { serialNumber } = new X509Certificate(gone.certificate);
  const incident = ['--incident', 'INC-9', '--reason', 'test', '--yes'];
  const revoke = ['revoke', credential, '--certificate', serialNumber, ...incident];
  expect(await rekeyJson<CertificateRevoked>(revoke, world.env)).toMatchObject({
    changed: true,
    listed: true,
  });
  expect(await statusOf(world, set, gone)).toBe('revoked');
  expect(await judgedByList(gone)).toContain('certificate revoked');
}
