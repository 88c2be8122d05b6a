import type { Credential } from '../domain/credential.ts';
import type { Revocation } from '../domain/evidence.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Snapshots } from '../ports/snapshots.ts';
import type { EngineDeps } from './deps.ts';
import { after, LEDGER_PATIENCE_MS } from './patience.ts';
import { unknownCredential } from './state.ts';

interface Located {
  readonly credential: Credential;
  readonly source: Revocation['source'];
}

/**
 * The credential from the ledger, or from its snapshot where the ledger is slow or down.
 * @throws RekeyError ERR_NOT_FOUND, or ERR_UNAVAILABLE where neither answers
 */
export async function locate(
  deps: Pick<EngineDeps, 'ledger'> & { readonly snapshots: Snapshots },
  credentialId: string,
): Promise<Located> {
  const ledger = deps.ledger.credential(credentialId);
  const first = await Promise.race([ledger.catch(() => 'failed' as const), after(LEDGER_PATIENCE_MS)]);
  if (typeof first === 'object') return { credential: first, source: 'ledger' };
  if (first === undefined) throw unknownCredential(credentialId);
  const copied = deps.snapshots.read(credentialId).then((copy): Located => {
    if (copy === undefined || copy.status === 'unregistered') throw unknownCredential(credentialId);
    return { credential: copy, source: 'snapshot' };
  });
  const late = ledger.then(
    (found): Located => {
      if (found === undefined) throw unknownCredential(credentialId);
      return { credential: found, source: 'ledger' };
    },
    (error: unknown) => {
      throw nowhere(credentialId, error);
    },
  );
  // Whichever answers first: one of them may hang for as long as its calls are tried. Where none has it, the ledger's word counts.
  return Promise.any([copied, late]).catch(() => late);
}

/** S3 denies what is absent to whoever may not list the bucket, so that nobody can say which of the two it is. */
function nowhere(credentialId: string, cause: unknown): RekeyError {
  return new RekeyError(
    'ERR_UNAVAILABLE',
    `the ledger does not answer, and no snapshot of the credential ${credentialId} is there or may be read`,
    {
      remedy:
        'revoke it at its upstream by hand (docs/runbook.md, "Emergency failed"), then start the emergency again',
      cause,
    },
  );
}
