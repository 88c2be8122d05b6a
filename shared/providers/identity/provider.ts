import { CAPABILITIES } from '../../domain/capabilities.ts';
import type { SetRef } from '../../domain/directory.ts';
import type { Redacted } from '../../domain/redacted.ts';
import type { TargetForm } from '../http/target.ts';
import type { CredentialProvider } from '../provider.ts';
import { endedByHand } from './by-hand.ts';
import { endIdentity, handOver, listIdentities, looked } from './steps.ts';

/** What a kind of identities has of its own, as far as the common part of its provider depends on it. */
export interface IdentityParts<T, M> {
  readonly key: 'signing-key/jwks' | 'agent-token/opaque' | 'certificate-authority/leaf';
  /** The set of a target; no two credentials share one. */
  readonly set: (target: T) => SetRef;
  readonly form: TargetForm<T>;
  /** @throws RekeyError ERR_MATERIAL_MISMATCH where a material is not of this target and identity (confused deputy) */
  readonly assertOurs: (target: T, secret: Redacted<M>, id?: string) => void;
}

type Common =
  | 'type'
  | 'provider'
  | 'overlap'
  | 'revocation'
  | 'needsAdmin'
  | 'target'
  | 'storedTarget'
  | 'identity'
  | 'serialize'
  | 'assertBelongs'
  | 'activate'
  | 'revoke'
  | 'deactivation'
  | 'list'
  | 'manualRevocation';

/** What providers of identities have in common: everything that is about an entry of the directory, whatever it says. */
export function identityProvider<T, M>({
  key,
  set,
  form,
  assertOurs,
}: IdentityParts<T, M>): Required<Pick<CredentialProvider<T, M>, Common>> {
  const { overlap, revocation, needsAdmin } = CAPABILITIES[key];
  const [type = '', provider = ''] = key.split('/');
  return {
    type,
    provider,
    overlap,
    revocation,
    needsAdmin,
    target: (input) => form.target(input, `docs/providers/${provider}.md`),
    storedTarget: (input) => form.storedTarget(input),
    identity: (target) => {
      const { kind, name } = set(target);
      return `${kind}:${name}`;
    },
    serialize: (secret) => secret.map((fields) => JSON.stringify(fields)),
    assertBelongs: (target, { id }, secret) => assertOurs(target, secret, id),
    async activate(target, _token, { handle, material }, ctx) {
      assertOurs(target, material, handle.id);
      await handOver(set(target), handle, ctx);
    },
    revoke: async (target, handle, _options, ctx) => endIdentity(set(target), handle, ctx),
    deactivation: async (target, { id }, ctx) => looked(set(target), id, ctx),
    list: async (target, ctx) => listIdentities(set(target), ctx),
    manualRevocation: (target, handle) => endedByHand(set(target).kind, target, handle),
  };
}
