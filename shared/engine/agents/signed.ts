import { OPENING_SECONDS, type Session } from '../../domain/agents.ts';
import { RekeyError } from '../../domain/errors.ts';
import { instanceJwk, bareKey, type InstanceJwk } from '../../domain/instance-key.ts';
import { Redacted } from '../../domain/redacted.ts';
import { parseOpening, type OpeningPayload } from '../../domain/signed.ts';
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

/**
 * What an instance has signed to open a session of `agent`, by the key that it brings, and just now: what is older is sent by
 * somebody else, or after too long a time to say what is true.
 * @throws RekeyError ERR_PROOF; ERR_CONFLICT where its time is another one; or as `parseOpening` does
 */
export async function openingBy(
  { signatures, clock }: Pick<AgentDeps, 'signatures' | 'clock'>,
  agent: string,
  key: Redacted<InstanceJwk>,
  jws: string,
): Promise<OpeningPayload> {
  const opening = parseOpening(jsonOf(await signatures.verify(jws, key)));
  if (opening.agent !== agent) {
    throw new RekeyError('ERR_PROOF', 'this was signed for another agent', {
      field: 'payload.agent',
      remedy: 'sign the agent that the call is about',
    });
  }
  if (Math.abs(clock() - Date.parse(opening.at)) <= OPENING_SECONDS * 1000) return opening;
  throw new RekeyError('ERR_CONFLICT', 'this opening was signed at another time', {
    field: 'payload.at',
    remedy: `sign another one, for the time in the Date of this answer: it is good for ${OPENING_SECONDS} seconds`,
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
