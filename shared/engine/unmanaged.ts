import type { Credential } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import type { EngineDeps } from './deps.ts';
import type { Emergency } from './incident.ts';
import { unknownCredential } from './state.ts';

/** What it takes to say how something is revoked without Rekey. */
export type UnmanagedDeps = Pick<EngineDeps, 'ledger'> & {
  /** What a person types at the upstream, for each login of the credential that may work. */
  readonly revocationsByHand: (credential: Credential) => Promise<readonly { readonly text: string }[]>;
};

/** A credential that Rekey has let go of, for whoever wants it revoked. */
export interface Unmanaged {
  readonly name: string;
  readonly id: string;
  /** Its unregistering is not complete: names and tags are not given back yet. */
  readonly isUnfinished: boolean;
  /** What a person does now. */
  readonly byHand: string;
}

/** What was let go of under this id; undefined where that is nothing. */
export async function findUnmanaged(deps: UnmanagedDeps, id: string): Promise<Unmanaged | undefined> {
  const head = await deps.ledger.unregistered(id);
  if (head === undefined) return undefined;
  const { name } = head;
  const isUnfinished = (await deps.ledger.idByName(name)) === id;
  return { name, id, isUnfinished, byHand: await byHand(deps, head) };
}

/** The refusal to revoke what Rekey has let go of: it has given up the right to, and nothing would resume its agents. */
export function notManaged({ name, id, isUnfinished, byHand: text }: Unmanaged): RekeyError {
  const state = isUnfinished ? `${name} is being let go of` : `${name} (${id}) was unregistered`;
  const completed = isUnfinished ? `\nThen \`rekey unregister ${name}\` completes the letting go` : '';
  return new RekeyError(
    'ERR_MODE',
    `${state}: Rekey doesn't manage it any more. Nothing was revoked by this request`,
    { field: 'credentials', remedy: `revoke it by hand, now:\n${text}${completed}` },
  );
}

/**
 * What became of a credential whose emergency was accepted before it was let go of: the execution fails, with what a
 * person does now in its results.
 * @throws RekeyError ERR_NOT_FOUND where nothing was ever registered under this id
 */
export async function reportUnmanaged(
  deps: UnmanagedDeps,
  { credentialId }: Pick<Emergency, 'credentialId'>,
): Promise<Pick<Unmanaged, 'byHand'>> {
  const found = await findUnmanaged(deps, credentialId);
  if (found === undefined) throw unknownCredential(credentialId);
  return { byHand: found.byHand };
}

async function byHand(deps: UnmanagedDeps, head: Credential): Promise<string> {
  const { id, targetIdentity, adoption } = head;
  const holder = targetIdentity === undefined ? undefined : await deps.ledger.idByTarget(targetIdentity);
  if (holder !== undefined && holder !== id) {
    // What was this one's works for that one's agents: what is typed at the upstream, Rekey would not know of.
    const heir = (await deps.ledger.credential(holder))?.name ?? holder;
    return `its logins belong to ${heir} by now: rekey revoke ${heir}`;
  }
  const told = adoption === 'observed' ? [] : (await deps.revocationsByHand(head)).map(({ text }) => text);
  return told.length > 0
    ? told.join('\n')
    : (head.byHand ?? 'end the login that its secret names, at its upstream');
}
