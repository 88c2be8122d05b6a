import { CAPABILITIES } from '../../domain/capabilities.ts';
import { plusSeconds, toInstant } from '../../domain/clock.ts';
import { entryOf, isHeld, type DirectoryEntry, type SetRef } from '../../domain/directory.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Deactivation } from '../../domain/evidence.ts';
import { certificateEndedByHand } from '../identity/by-hand.ts';
import { identityProvider } from '../identity/provider.ts';
import { addressOf, askedFor, assertServed, unserved } from '../identity/served.ts';
import { endIdentity, identitiesOf, takeIdentity, type Made } from '../identity/steps.ts';
import type { CredentialProvider, ProviderContext } from '../provider.ts';
import { certificatesIn } from '../x509/authority.ts';
import { authorityFor, certify, endOf, putOnList, signedByOf } from '../x509/kept.ts';
import {
  endingOf,
  form,
  idOf,
  isKeyOf,
  ownCertificate,
  parseMaterial,
  serialOf,
  type LeafMaterial,
  type LeafTarget,
} from './material.ts';

const set = (target: LeafTarget): SetRef => ({ kind: 'leaves', name: idOf(target) });

const common = identityProvider<LeafTarget, LeafMaterial>({
  key: 'certificate-authority/leaf',
  set,
  form,
  assertOurs: (target, secret, id) => void ownCertificate(target, secret, id),
});

/**
 * Keys and certificates of holders that can't make a request: Rekey makes both, and the holder reads them from its secret. Old and
 * new count beside each other; the old one ends on its authority's list of revoked certificates.
 */
export const leafProvider: CredentialProvider<LeafTarget, LeafMaterial> = {
  ...common,
  demands: ({ leafSeconds }) => ({
    maxIntervalSeconds: Math.floor(leafSeconds / 2),
    why: 'a certificate is replaced by half of its life',
  }),
  endsAt: ({ leafSeconds }, from, _interval, secret) =>
    // Its authority may end before.
    secret === undefined ? plusSeconds(from, leafSeconds) : endingOf(secret),
  madeUnder: ({ authority }) => authority,
  material: parseMaterial,
  secretPart: (secret) => secret.map(({ privateKey }) => privateKey),

  async preflight(target, ctx) {
    const { target: authority } = await authorityFor(target, ctx);
    await assertServed({ kind: 'bundles', name: authority.name }, ctx);
    return [];
  },

  async issue(target, token, ctx) {
    const { handle, secret } = await takeIdentity(
      {
        ref: set(target),
        // Nobody reads the set but Rekey.
        times: { cacheSeconds: 0, skewSeconds: 0 },
        maxLive: CAPABILITIES['certificate-authority/leaf'].overlap.maxLive,
        ahead: false,
        make: async () => made(target, ctx),
      },
      token,
      ctx,
    );
    return { handle, material: parseMaterial(secret) };
  },

  async verify(target, secret, ctx) {
    const own = ownCertificate(target, secret);
    if (!isKeyOf(own, secret)) throw rejected('its key is another one');
    const entry = await entryIn(target, serialOf(own), ctx);
    if (entry === undefined || !isHeld(entry)) throw rejected('it was ended');
    const response = await askedFor({ kind: 'bundles', name: signedByOf(entry).set }, ctx);
    if (response?.status !== 200) throw unserved();
    const trusted = certificatesIn(await response.text());
    if (!trusted.some((root) => own.checkIssued(root) && own.verify(root.publicKey)))
      throw rejected('verifiers trust its authority no more');
    const end = ctx.clock() < own.validFromDate.getTime() ? 'it does not count yet' : await endOf(entry, ctx);
    if (end !== undefined) throw rejected(end);
  },

  async revoke(target, handle, _options, ctx) {
    const entry = await entryIn(target, handle.id, ctx);
    // First what verifiers ask for: once that is told, nothing is left to be done again.
    if (entry !== undefined) await putOnList(entry, ctx);
    await endIdentity(set(target), handle, ctx);
    return looked(target, handle.id, ctx);
  },
  deactivation: async (target, { id }, ctx) => looked(target, id, ctx),
  manualRevocation: certificateEndedByHand,
};

async function made(target: LeafTarget, ctx: ProviderContext): Promise<Made> {
  const { leaf, certificate, privateKey, chain, set: name } = await certify(target, idOf(target), ctx);
  const bundle = addressOf({ kind: 'bundles', name }, ctx).href;
  const document = { set: name, authority: leaf.authority };
  const secret = privateKey.map((key) =>
    JSON.stringify({ id: leaf.id, certificate, privateKey: key, chain, bundle } satisfies LeafMaterial),
  );
  return { fresh: { id: leaf.serial, document, notAfter: leaf.notAfter }, secret };
}

/** What verifiers are told of it now. */
async function looked(target: LeafTarget, id: string, ctx: ProviderContext): Promise<Deactivation> {
  const entry = await entryIn(target, id, ctx);
  const end = entry === undefined ? `${id} was never handed over` : await endOf(entry, ctx);
  const about = { method: 'status-read', observedAt: toInstant(ctx.clock()) } as const;
  return { ...about, confirmed: end !== undefined, detail: end ?? `${id} counts` };
}

async function entryIn(
  target: LeafTarget,
  id: string,
  ctx: ProviderContext,
): Promise<DirectoryEntry | undefined> {
  return entryOf(await identitiesOf(ctx).directory.read(set(target)), id);
}

function rejected(why: string): RekeyError {
  return new RekeyError('ERR_REJECTED', `the certificate is refused: ${why}`, {
    remedy: 'start a rotation: another key and certificate take its place',
  });
}
