import type { Session } from '../../domain/agents.ts';
import { RekeyError } from '../../domain/errors.ts';
import { instanceJwk, bareKey, type InstanceJwk } from '../../domain/instance-key.ts';
import { Redacted } from '../../domain/redacted.ts';
import type { AgentDeps } from './deps.ts';

/**
 * What an instance has signed: by its own key, for its own session, in the form that `parse` knows.
 * @throws RekeyError ERR_PROOF, or as `parse` does
 */
export async function signedBy<P extends { readonly session: string }>(
  deps: Pick<AgentDeps, 'signatures' | 'sealer'>,
  session: Session,
  parse: (payload: unknown) => P,
  jws: string,
): Promise<P> {
  const payload = parse(jsonOf(await deps.signatures.verify(jws, await keyOf(deps, session))));
  if (payload.session === session.id) return payload;
  throw new RekeyError('ERR_PROOF', 'this was signed for another session', {
    field: 'payload.session',
    remedy: 'sign the id of the session that the call is about',
  });
}

async function keyOf(
  { sealer }: Pick<AgentDeps, 'sealer'>,
  { agent, id, key }: Session,
): Promise<Redacted<InstanceJwk>> {
  if (key.kind === 'public') return new Redacted(bareKey(instanceJwk.parse(key.jwk)));
  const bytes = await sealer.unseal(key.sealed, { purpose: 'instance', of: agent, id });
  return bytes.map((secret) => ({ kty: 'oct' as const, k: Buffer.from(secret).toString('base64url') }));
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    // Refused for its form: it is no object.
    return undefined;
  }
}
