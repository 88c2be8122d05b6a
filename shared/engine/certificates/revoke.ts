import { leafTarget } from '../../domain/bundle.ts';
import { fromInstant, toInstant, type Instant } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import type { DirectoryEntry, DirectorySet } from '../../domain/directory.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Leaf } from '../../domain/leaf.ts';
import { emptyList, isTold, revocationIn, withRevoked, type Revocation } from '../../domain/revocations.ts';
import type { Trigger } from '../../domain/rotation.ts';
import type { Leaves } from '../../ports/leaves.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { untilCommitted } from '../state.ts';
import { signList, type ListingDeps } from './lists.ts';

/** Many are revoked at once after an incident: each time that some meet, one of them is through. */
const MOST_TRIES = 50;

/** What revoking a certificate works with. */
export interface RevokingDeps extends ListingDeps {
  readonly ledger: Pick<Ledger, 'list' | 'credential' | 'idByName' | 'commit'>;
  readonly leaves: Pick<Leaves, 'bySerial'>;
}

/** A certificate that somebody wants to count no more. */
export interface RevocationWish {
  /** Name of the credential that is the certificate authority. */
  readonly name: string;
  /** In hexadecimal, small letters. */
  readonly serial: string;
  readonly incidentId: string;
  readonly trigger: Trigger;
  /** Says what it is, and changes nothing. */
  readonly dryRun: boolean;
}

/** What became of it. */
export interface RevokedCertificate {
  /** False where it was revoked before. */
  readonly changed: boolean;
  readonly serial: string;
  readonly authority: string;
  /** Whose it was. */
  readonly id: string;
  readonly agent: string;
  /** Absent where it isn't revoked. */
  readonly revokedAt?: Instant;
  readonly notAfter: Instant;
  /** Whether the list that says so is there; where it isn't, the next run signs it. */
  readonly listed: boolean;
}

/**
 * Revokes one certificate before its end: on record first, then told by OCSP, then by the list, which is signed at once. The
 * same again is success and completes what was interrupted.
 * @throws RekeyError ERR_NOT_FOUND, ERR_REQUEST, ERR_CAPACITY
 */
export async function revokeCertificate(
  deps: RevokingDeps,
  wish: RevocationWish,
): Promise<RevokedCertificate> {
  const credential = await authorityNamed(deps, wish.name);
  const { set, entry, leaf } = await issued(deps, credential, wish.serial);
  const list = await deps.revocations.read(set.name, entry.id);
  const known = revocationIn(list, leaf.serial);
  const { serial, authority, id, agent, notAfter } = leaf;
  const about = { changed: known === undefined, serial, authority, id, agent, notAfter };
  if (wish.dryRun) {
    const listed = list !== undefined && known !== undefined && isTold(list);
    return { ...about, ...(known && { revokedAt: known.revokedAt }), listed };
  }
  if (known === undefined) await intend(deps, credential.id, wish, leaf);
  const { revokedAt } = known ?? (await revoke(deps, set, entry, leaf));
  return { ...about, revokedAt, listed: await isListed(deps, set, entry) };
}

async function authorityNamed({ ledger }: RevokingDeps, name: string): Promise<Credential> {
  const id = (await ledger.idByName(name)) ?? name;
  const credential = await ledger.credential(id);
  if (credential === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `no credential "${name}"`, {
      field: 'name',
      remedy: '`rekey list` names them all',
    });
  }
  if (credential.type === 'certificate-authority' && credential.provider === 'x509') return credential;
  throw new RekeyError('ERR_REQUEST', `"${name}" is no certificate authority of Rekey's`, {
    field: 'name',
    remedy: 'rekey revoke ends other credentials; an authority of AWS Private CA revokes by acm-pca',
  });
}

/** The certificate of that number, which still counts. */
async function issued(
  { directory, leaves, clock }: RevokingDeps,
  { name, target }: Credential,
  serial: string,
): Promise<{ set: DirectorySet; entry: DirectoryEntry; leaf: Leaf }> {
  const set = await directory.read({ kind: 'bundles', name: leafTarget.parse(target).name });
  for (const entry of set?.entries ?? []) {
    if (set === undefined || entry.state === 'ended') continue;
    const leaf = await leaves.bySerial(set.name, entry.id, serial);
    if (leaf !== undefined && clock() < fromInstant(leaf.notAfter)) return { set, entry, leaf };
  }
  throw new RekeyError('ERR_NOT_FOUND', `no certificate ${serial} of ${name} counts now`, {
    field: 'serial',
    remedy:
      'nothing is left to revoke where it has ended, or its authority has; else look at the number again',
  });
}

function intend(
  { ledger, clock }: RevokingDeps,
  credentialId: string,
  { trigger, incidentId }: RevocationWish,
  { serial, authority, id, caller, issuedAt, notAfter }: Leaf,
): Promise<unknown> {
  return untilCommitted(async () => {
    const before = await ledger.credential(credentialId);
    if (before === undefined) throw new RekeyError('ERR_NOT_FOUND', 'the credential was unregistered');
    return ledger.commit({
      before,
      after: before,
      records: [
        {
          action: 'certificate-revocation-intended',
          time: toInstant(clock()),
          trigger,
          holders: before.holders.map((holder) => holder.name),
          incidentId,
          evidence: { serial, authority, id, caller, issuedAt, notAfter },
        },
      ],
    });
  }, MOST_TRIES);
}

function revoke(
  { revocations, clock }: RevokingDeps,
  { name }: DirectorySet,
  { id }: DirectoryEntry,
  { serial, notAfter }: Leaf,
): Promise<Revocation> {
  return untilCommitted(async () => {
    const list = (await revocations.read(name, id)) ?? emptyList(name, id);
    const known = revocationIn(list, serial);
    if (known !== undefined) return known;
    const revocation = { serial, revokedAt: toInstant(clock()), notAfter };
    await revocations.write(withRevoked(list, revocation));
    return revocation;
  }, MOST_TRIES);
}

/** It is revoked, whatever becomes of the list now. */
async function isListed(deps: RevokingDeps, set: DirectorySet, entry: DirectoryEntry): Promise<boolean> {
  try {
    await signList(deps, set, entry);
    return true;
  } catch (error) {
    if (!isRekeyError(error)) throw error;
    return false;
  }
}
