import type { CredentialView, ShowAnswer } from '../shared/api/messages.ts';
import { capabilitiesOf } from '../shared/domain/capabilities.ts';
import { isSecret } from '../shared/domain/roots.ts';
import { consequences, type RevokeOptions } from './emergency.ts';

/** What can end a credential in an emergency: Rekey, Rekey without a successor (`own-login`), or only a person. */
export type RevocationKind = 'rekey' | 'own-login' | 'manual' | 'by-hand' | 'observed';

/** What an emergency would do to one credential. */
export interface RevocationPlan {
  readonly name: string;
  readonly kind: RevocationKind;
  /** Whether a person has to end it at its upstream. */
  readonly manual: boolean;
  readonly steps: readonly string[];
  /** What that person does, a text for each key that may work; empty where Rekey ends it. */
  readonly byHand: readonly string[];
}

type Shown = Pick<ShowAnswer, 'credential' | 'manualRevocation'>;

/** What `rekey revoke` would do to a credential, from what the API shows of it. */
export function revocationPlan(shown: Shown, options: Pick<RevokeOptions, 'replace'>): RevocationPlan {
  const { credential } = shown;
  const kind = kindOf(credential);
  const manual = kind !== 'rekey' && kind !== 'own-login';
  const steps = stepsFor(kind, credential, options);
  return { name: credential.name, kind, manual, steps, byHand: manual ? byHandOf(shown) : [] };
}

function kindOf({ type, provider, root, admin, secret, adoption }: CredentialView): RevocationKind {
  if (root?.how === 'by-hand' || (root !== undefined && provider === 'by-hand')) return 'by-hand';
  if (adoption === 'observed') return 'observed';
  if (capabilitiesOf(type, provider)?.revocation === 'manual') return 'manual';
  return root !== undefined && isSecret(admin, secret) ? 'own-login' : 'rekey';
}

/** The steps of what is observed say it in the API's answer; those of keys come with each handle. */
function byHandOf({ credential, manualRevocation = [] }: Shown): string[] {
  if (credential.byHand !== undefined) return [credential.byHand];
  return manualRevocation.map(({ text }) => text);
}

function stepsFor(
  kind: RevocationKind,
  { root, provider }: CredentialView,
  options: Pick<RevokeOptions, 'replace'>,
): string[] {
  const [ends = '', halts = '', givenUp = '', replaces = '', recorded = ''] = consequences(options);
  switch (kind) {
    case 'rekey':
      return [ends, halts, givenUp, replaces, recorded];
    case 'own-login':
      return [
        'it is ended at its upstream at once, and is its own administrative login: Rekey can make no other',
        halts,
        givenUp,
        `it stays halted, and the emergency ends as failed, which pages, until ${root?.owner ?? 'its owner'} has replaced it (rekey roots has the steps then)`,
        'what it administers works on, and can not be rotated, revoked or replaced by Rekey until then',
        recorded,
      ];
    case 'manual':
      return [
        `manual: ${provider} lets only a person end a key: you are told which, and it works until somebody has deleted it`,
        `${halts}; they stay halted until ${provider} refuses the key`,
        givenUp,
        options.replace
          ? 'after that the next key of the pool is tested and stored; then agents may resume'
          : replaces,
        recorded,
      ];
    case 'by-hand':
    case 'observed':
      return [
        kind === 'by-hand'
          ? `Rekey ends nothing: ${root?.owner ?? 'its owner'} has to end it at its upstream, by hand`
          : 'Rekey ends nothing: it is only observed, and has to be ended at its upstream by hand',
        `${halts}; nothing replaces it, and nobody tells them to resume`,
        'the emergency ends as failed, which pages, with what to do by hand',
        'the attempt stands in the audit trail with your ARN and the reason',
      ];
  }
}
