import { authorityDocument, leafTarget } from '../../domain/bundle.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { publishedOf, type DirectoryEntry, type DirectorySet } from '../../domain/directory.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { emptyList, isDue, nextList, type RevocationList } from '../../domain/revocations.ts';
import type { DirectoryReads } from '../../ports/directory.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { Revocations } from '../../ports/revocations.ts';
import type { Signer } from '../../ports/signer.ts';
import { authorityOf } from '../../x509/certificates.ts';
import { revocationList } from '../../x509/crl.ts';
import { untilCommitted } from '../state.ts';
import { certifyResponder, type CertifyingDeps } from './responders.ts';

/** What lists are signed with. */
export interface ListingDeps {
  readonly ledger: Pick<Ledger, 'list'>;
  readonly directory: DirectoryReads;
  readonly revocations: Revocations;
  /** Signs with a key of KMS. */
  readonly signer: (keyArn: string) => Signer;
  readonly clock: Clock;
}

/** What a run did. */
export interface ListsSigned {
  /** Ids of authorities. */
  readonly signed: readonly string[];
  /** By the name of the set, or the id of the authority, with the code of what went wrong. */
  readonly failed: readonly { readonly of: string; readonly code: string }[];
  /** False where time ran out. */
  readonly complete: boolean;
}

/**
 * Signs the lists that are due, of every authority that verifiers trust: the next one's is there before it issues. Before that
 * it certifies who answers for it, where that has changed.
 */
export async function signLists(deps: ListingDeps & CertifyingDeps, until: number): Promise<ListsSigned> {
  const signed: string[] = [];
  const failed: { of: string; code: string }[] = [];
  const trying = async (of: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      failed.push({ of, code: isRekeyError(error) ? error.code : 'ERR_INTERNAL' });
    }
  };
  let page: string | undefined;
  do {
    const { items, next } = await deps.ledger.list(page);
    for (const name of items.flatMap(setOf)) {
      if (deps.clock() >= until) return { signed, failed, complete: false };
      await trying(name, async () => {
        const set = await deps.directory.read({ kind: 'bundles', name });
        for (const entry of set === undefined ? [] : publishedOf(set, deps.clock())) {
          await trying(entry.id, async () => {
            if (set === undefined) return;
            await certifyResponder(deps, set, entry);
          });
          // Whatever becomes of the key that answers: a list needs nothing of it.
          await trying(entry.id, async () => {
            if (set !== undefined && (await signList(deps, set, entry))) signed.push(entry.id);
          });
        }
      });
    }
    page = next;
  } while (page !== undefined);
  return { signed, failed, complete: true };
}

/** The set of an authority whose key is in KMS. */
function setOf({ type, provider, target }: Credential): string[] {
  if (type !== 'certificate-authority' || provider !== 'x509') return [];
  const parsed = leafTarget.safeParse(target);
  return parsed.success ? [parsed.data.name] : [];
}

/**
 * Signs the list of an authority, where that is due; says whether it was. Two at once sign twice and one of them writes: no number
 * is used twice.
 * @throws RekeyError ERR_UNAVAILABLE where its key does not sign now
 */
export function signList(
  { revocations, signer, clock }: Pick<ListingDeps, 'revocations' | 'signer' | 'clock'>,
  { name, times }: DirectorySet,
  { id, document, ref }: DirectoryEntry,
): Promise<boolean> {
  return untilCommitted(async () => {
    const list = (await revocations.read(name, id)) ?? emptyList(name, id);
    const now = clock();
    if (ref === undefined || !isDue(list, now)) return false;
    const { revoked, ...about } = nextList(list, now, times.skewSeconds);
    const authority = authorityOf(authorityDocument.parse(document).certificate);
    const der = await signedBy(signer(ref), authority, { revoked, ...about });
    const next: RevocationList = {
      ...list,
      revoked,
      signed: { ...about, der: Buffer.from(der).toString('base64') },
    };
    await revocations.write(next);
    return true;
  });
}

/** Its key may have been disabled by hand, or since the set was read. */
async function signedBy(...of: Parameters<typeof revocationList>): Promise<Uint8Array> {
  try {
    return await revocationList(...of);
  } catch (error) {
    if (!isRekeyError(error, 'ERR_REJECTED', 'ERR_ADMIN_DENIED')) throw error;
    throw new RekeyError('ERR_UNAVAILABLE', 'the certificate authority does not sign now', {
      remedy: 'it is tried again; where that goes on, look at its key in KMS',
      cause: error,
    });
  }
}
