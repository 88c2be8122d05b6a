import type { CredentialView, ShowAnswer } from '../shared/api/messages.ts';
import { capabilitiesOf } from '../shared/domain/capabilities.ts';
import { durationText } from '../shared/domain/duration.ts';
import { isSecret } from '../shared/domain/roots.ts';
import { consequences, type RevokeOptions } from './emergency.ts';
import type { Output } from './io.ts';

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

/** Says what an emergency would do to a credential, under its name. */
export function describeRevocation(out: Output, shown: Shown, options: Pick<RevokeOptions, 'replace'>): void {
  const { name, holders } = shown.credential;
  const agents = holders.map((holder) => holder.name).join(', ') || 'no holder is known';
  out.line(`${out.style('bold', name)}  held by ${agents}`);
  const { steps, byHand } = revocationPlan(shown, options);
  for (const step of steps) out.line(`  - ${step}`);
  for (const text of byHand) out.line(`  ${out.style('red', 'BY HAND')}: ${text}`);
}

/** How soon a credential is dead that Rekey ends, by the facts of its provider. */
function endOf({ type, provider }: CredentialView, usual: string): string {
  const {
    revocation = 'api',
    revocationDelaySeconds = 0,
    takenLonger,
  } = capabilitiesOf(type, provider) ?? {};
  if (revocationDelaySeconds === 0) return usual;
  const delay = durationText(revocationDelaySeconds);
  return revocation === 'deploy-hook'
    ? `the hook of ${provider} is told at once to take every working credential of it out; they work until that is done, which may take ${delay}`
    : `every working credential of it is ended at ${provider} at once; there one may be taken for ${delay} more${takenLonger === undefined ? '' : `, and ${takenLonger}`}`;
}

function takenAlong({ type, provider }: CredentialView): string[] {
  return [capabilitiesOf(type, provider)?.takesAlong ?? []].flat();
}

function stepsFor(
  kind: RevocationKind,
  credential: CredentialView,
  options: Pick<RevokeOptions, 'replace'>,
): string[] {
  const { root, provider } = credential;
  const [ends = '', halts = '', givenUp = '', replaces = '', recorded = ''] = consequences(options);
  switch (kind) {
    case 'rekey':
      return [endOf(credential, ends), ...takenAlong(credential), halts, givenUp, replaces, recorded];
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
