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
import type { PrivateAuthority, Telling } from '../../ports/private-authority.ts';
import { untilCommitted } from '../state.ts';
import { signList, type ListingDeps } from './lists.ts';

/** Many are revoked at once after an incident: each time that some meet, one of them is through. */
const MOST_TRIES = 50;

/** What revoking a certificate works with. */
export interface RevokingDeps extends ListingDeps {
  readonly ledger: Pick<Ledger, 'list' | 'credential' | 'idByName' | 'commit'>;
  readonly leaves: Pick<Leaves, 'bySerial'>;
  /** The authority of AWS Private CA that an ARN names; undefined where it names something else. */
  readonly privateAuthority: (arn: string) => Revoker | undefined;
}

type Revoker = Pick<PrivateAuthority, 'tellsBy' | 'revoke'>;

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
  /** False where Rekey's own list that says so is not there; the next run signs it. */
  readonly listed: boolean;
  /** Of an authority of AWS Private CA: by what AWS tells it, in its own time. */
  readonly tellsBy?: readonly Telling[];
}

/**
 * Revokes one certificate before its end: on record first, then told by OCSP, then by the list, which is signed at once; where
 * AWS Private CA has issued it, AWS tells it. The same again is success and completes what was interrupted.
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
  const issuer = issuerOf(deps, entry);
  const tellsBy = await issuer?.tellsBy();
  if (known === undefined && tellsBy?.length === 0) throw untold(credential.name);
  const changed = known === undefined;
  const about = { changed, serial, authority, id, agent, notAfter, ...(tellsBy && { tellsBy }) };
  if (wish.dryRun) {
    const listed = issuer !== undefined || (list !== undefined && known !== undefined && isTold(list));
    return { ...about, ...(known && { revokedAt: known.revokedAt }), listed };
  }
  if (known === undefined) {
    await intend(deps, credential.id, wish, leaf);
    await issuer?.revoke(serial);
  }
  const { revokedAt } = known ?? (await revoke(deps, set, entry, leaf));
  return { ...about, revokedAt, listed: issuer !== undefined || (await isListed(deps, set, entry)) };
}

function issuerOf({ privateAuthority }: RevokingDeps, { ref }: DirectoryEntry): Revoker | undefined {
  return ref === undefined ? undefined : privateAuthority(ref);
}

/** Nobody would ever hear of it. */
function untold(name: string): RekeyError {
  return new RekeyError(
    'ERR_REQUEST',
    `the authority that has signed it has neither a list nor OCSP in AWS Private CA`,
    {
      field: 'name',
      remedy:
        `rekey revoke ${name} ends all that it has signed; for single ones its owner configures OCSP or a list, ` +
        'before certificates are issued (docs/providers/private-ca.md)',
    },
  );
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
  if (credential.type === 'certificate-authority') return credential;
  throw new RekeyError('ERR_REQUEST', `"${name}" is no certificate authority`, {
    field: 'name',
    remedy: 'rekey revoke without --certificate ends other credentials',
  });
}

/** The certificate of that number, which still counts. */
async function issued(
  deps: RevokingDeps,
  { name, target }: Credential,
  serial: string,
): Promise<{ set: DirectorySet; entry: DirectoryEntry; leaf: Leaf }> {
  const { directory, leaves, clock } = deps;
  const set = await directory.read({ kind: 'bundles', name: leafTarget.parse(target).name });
  for (const entry of set?.entries ?? []) {
    if (set === undefined || entry.state === 'ended') continue;
    const leaf = await leaves.bySerial(set.name, entry.id, serial);
    // What was recorded before AWS has given it a number has one that no certificate has.
    const isNumbered = leaf?.ref !== undefined || issuerOf(deps, entry) === undefined;
    if (leaf !== undefined && isNumbered && clock() < fromInstant(leaf.notAfter)) return { set, entry, leaf };
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
