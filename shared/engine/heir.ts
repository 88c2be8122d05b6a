import type { Credential, CredentialHandle } from '../domain/credential.ts';
import type { EngineDeps } from './deps.ts';

/** What it takes to say whose a login is, and how it is ended without Rekey. */
export type ByHandDeps = Pick<EngineDeps, 'ledger'> & {
  /** What a person types at the upstream, for each login that may work and that the credential's target names. */
  readonly revocationsByHand: (
    credential: Credential,
  ) => Promise<readonly { readonly handle: CredentialHandle; readonly text: string }[]>;
};

/** Who has logins of a former credential now, as after it was adopted again. */
export interface Heir {
  readonly credential: Credential;
  /** Those that it has: a target's identity says who owns what its users do, not which users they are. */
  readonly has: (login: CredentialHandle) => boolean;
}

/** The heir of a former credential; undefined where nobody has any of these logins. */
export async function heirOf(
  { ledger, revocationsByHand }: ByHandDeps,
  { targetIdentity }: Credential,
  logins: readonly CredentialHandle[],
): Promise<Heir | undefined> {
  const id = targetIdentity === undefined ? undefined : await ledger.idByTarget(targetIdentity);
  const credential = id === undefined ? undefined : await ledger.credential(id);
  if (credential === undefined) return undefined;
  const { current: _its, ...rest } = credential;
  const named = await revocationsByHand({ ...rest, live: logins });
  const ids = new Set(named.map(({ handle }) => handle.id));
  return ids.size === 0 ? undefined : { credential, has: (login) => ids.has(login.id) };
}
