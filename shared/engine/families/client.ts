import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { FamilyTerms } from '../../domain/families.ts';
import { clientHostsOf, clientSecretOf } from '../../domain/family-secret.ts';
import type { ClientSecret, GrantTerms } from '../../ports/authorization-server.ts';
import type { FamilyDeps } from './deps.ts';

/** Longer than a request may take at most; shorter than the shortest lease. */
const ANSWER_MS = 15_000;

/** The labels of a client secret that is being rotated, in the order in which they are tried. */
const STAGES = ['AWSCURRENT', 'AWSPENDING', 'AWSPREVIOUS'] as const;

/**
 * Makes a request as the client of a family. Where the server doesn't take the client, its secret may just be rotated: the
 * other versions are tried. A server that refuses the client has spent nothing of what was sent with it. `as` are the terms
 * with the hosts for which the secret is.
 */
export async function asClient<T>(
  deps: Pick<FamilyDeps, 'readClientSecret'>,
  terms: FamilyTerms,
  request: (secret: ClientSecret, as: GrantTerms) => Promise<T>,
): Promise<T> {
  const { client } = terms;
  if (client.secret === undefined) return inTime(request(undefined, terms));
  const tried = new Set<string>();
  let refusal: unknown;
  for (const stage of STAGES) {
    const text = await deps.readClientSecret(client.secret, stage);
    if (text === undefined) continue;
    const secret = clientSecretOf(text, client.secret);
    if (tried.has(secret.reveal())) continue;
    tried.add(secret.reveal());
    const allowedHosts = clientHostsOf(text, client.secret);
    try {
      return await inTime(request(secret, { ...terms, client: { ...client, allowedHosts } }));
    } catch (error) {
      if (!isRekeyError(error, 'ERR_ADMIN_DENIED')) throw error;
      refusal ??= error;
    }
  }
  throw refusal ?? noSecret(client.secret);
}

function noSecret(secret: string): RekeyError {
  return new RekeyError('ERR_NOT_FOUND', `the secret ${secret} has no value`, {
    field: 'client.secret',
    remedy: 'put {"client_secret": …} into it, and tag it for this deployment (docs/oauth.md)',
  });
}

async function inTime<T>(request: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new RekeyError('ERR_TIMEOUT', 'the authorization server did not answer in time'));
    }, ANSWER_MS);
  });
  try {
    return await Promise.race([request, late]);
  } finally {
    clearTimeout(timer);
  }
}
