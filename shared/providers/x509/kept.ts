import * as z from 'zod';
import { isAuthority, issuingOf, leafTarget } from '../../domain/bundle.ts';
import { fromInstant, toInstant } from '../../domain/clock.ts';
import { entryOf, isHeld, type DirectoryEntry } from '../../domain/directory.ts';
import { RekeyError } from '../../domain/errors.ts';
import { emptyList, revocationIn, withRevoked } from '../../domain/revocations.ts';
import { kmsSigner } from '../../http/kms-signer.ts';
import { certifiedKey, type CertifiedKey } from '../../x509/certified-key.ts';
import { awsOf } from '../aws-iam/user.ts';
import { identitiesOf, untilWritten } from '../identity/steps.ts';
import type { ProviderContext } from '../provider.ts';

/** Whose key Rekey makes, and which authority is to certify it. */
export interface Wanted {
  /** Name of the credential that is the authority. */
  readonly authority: string;
  readonly trustDomain: string;
  readonly holder: string;
  readonly leafSeconds: number;
}

/** What is known of a certificate whose key Rekey keeps: by that it is revoked, whatever becomes of its authority's credential. */
const signedBy = z.object({
  /** Set of the directory, and the authority's id in it. */
  set: z.string(),
  authority: z.string(),
});

/** The same of an entry. */
export function signedByOf({ document }: Pick<DirectoryEntry, 'document'>): z.infer<typeof signedBy> {
  return signedBy.parse(document);
}

/**
 * The authority that is wanted, as far as it may certify such keys.
 * @throws RekeyError ERR_DECLARATION with the field of the target
 */
export async function authorityFor(wanted: Wanted, { registered }: ProviderContext) {
  const credential = await registered?.(wanted.authority);
  const named = `"${wanted.authority}"`;
  if (credential === undefined)
    throw refused('authority', `no credential ${named} is registered`, 'apply the authority first');
  if (!isAuthority(credential))
    throw refused('authority', `${named} is no certificate authority`, 'name the credential of one');
  if (credential.provider !== 'x509') {
    throw refused(
      'authority',
      `${named} is in AWS Private CA, where Rekey may revoke no single certificate: one that it keeps could not be ended`,
      'name an authority of the provider x509, or let the holder make its own request (POST /certificates)',
    );
  }
  const target = leafTarget.parse(credential.target);
  if (target.trustDomain !== wanted.trustDomain) {
    const remedy = 'declare that one, or another authority';
    throw refused('trustDomain', `${named} vouches for ${target.trustDomain}`, remedy);
  }
  if (wanted.leafSeconds > target.leafSeconds) {
    throw refused(
      'leafSeconds',
      `what ${named} has signed is trusted for ${target.leafSeconds} s after its last use`,
      `use at most ${target.leafSeconds}`,
    );
  }
  if (credential.holders.some(({ name, principal }) => name === wanted.holder && principal !== undefined)) {
    throw refused(
      'holder',
      `${wanted.holder} gets certificates of ${named} by its own requests, with keys that stay with it`,
      'leave this one out; or declare another holder, for what can make no request',
    );
  }
  return { credential, target };
}

/**
 * Makes a key and has the authority that signs now certify it.
 * @throws RekeyError ERR_DECLARATION, ERR_UNAVAILABLE while none signs
 */
export async function certify(
  wanted: Wanted,
  id: string,
  ctx: ProviderContext,
): Promise<CertifiedKey & { readonly chain: string; readonly set: string }> {
  const { directory, leaves } = identitiesOf(ctx);
  const { credential, target } = await authorityFor(wanted, ctx);
  const found = await directory.read({ kind: 'bundles', name: target.name });
  // One that is halted may be trusted for another moment: what it signed now would die with it.
  const current = credential.status === 'active' ? credential.current?.handle.id : undefined;
  const issuing = issuingOf(found, current);
  const terms = {
    id,
    agent: wanted.holder,
    caller: 'Rekey, which keeps the key',
    now: ctx.clock(),
    lifeSeconds: Math.min(wanted.leafSeconds, target.leafSeconds),
    skewSeconds: target.clockSkewSeconds,
  };
  const signer = kmsSigner(awsOf(ctx), issuing.ref);
  const made = await certifiedKey(issuing, signer, terms, async (leaf) => leaves.record(target.name, leaf));
  return { ...made, chain: issuing.certificate, set: target.name };
}

/** Puts a certificate on its authority's list, unless it has ended; OCSP says so from then on. Twice equals once. */
export async function putOnList(entry: DirectoryEntry, ctx: ProviderContext): Promise<void> {
  const { revocations } = identitiesOf(ctx);
  const { set, authority } = signedByOf(entry);
  const { id: serial, notAfter = toInstant(0) } = entry;
  await untilWritten(async () => {
    if ((await endOf(entry, ctx)) !== undefined) return;
    const list = (await revocations.read(set, authority)) ?? emptyList(set, authority);
    await revocations.write(withRevoked(list, { serial, revokedAt: toInstant(ctx.clock()), notAfter }));
  });
}

/** Why a certificate is refused, in words; undefined while it counts. */
export async function endOf(entry: DirectoryEntry, ctx: ProviderContext): Promise<string | undefined> {
  const { directory, revocations } = identitiesOf(ctx);
  const { set, authority } = signedByOf(entry);
  const { id: serial, notAfter } = entry;
  if (notAfter !== undefined && fromInstant(notAfter) <= ctx.clock())
    return `${serial} has ended at ${notAfter}`;
  const issuer = entryOf(await directory.read({ kind: 'bundles', name: set }), authority);
  if (issuer === undefined || !isHeld(issuer)) return `${serial} has ended with its authority ${authority}`;
  const revoked = revocationIn(await revocations.read(set, authority), serial);
  return revoked && `${serial} is on the list of its authority ${authority} since ${revoked.revokedAt}`;
}

function refused(field: string, message: string, remedy: string): RekeyError {
  return new RekeyError('ERR_DECLARATION', message, { field: `target.${field}`, remedy });
}
