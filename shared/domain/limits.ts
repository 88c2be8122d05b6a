import { capabilitiesOf, type Capabilities } from './capabilities.ts';
import type { Credential } from './credential.ts';
import { durationText } from './duration.ts';

/** What the upstream of a credential allows and takes its time for, in words; empty where nobody has said. */
export function limitsOf({
  type,
  provider,
  live,
  policy: { soakSeconds },
}: Pick<Credential, 'type' | 'provider' | 'policy'> & {
  live: readonly unknown[];
}): readonly string[] {
  const facts = capabilitiesOf(type, provider);
  if (facts === undefined) return [];
  const { canCreate, canSuspend, propagationSeconds, maxKeys } = facts;
  return [
    beside(facts, live.length),
    ...(maxKeys === undefined ? [] : [`its owner may have ${maxKeys} there at most, whoever made them`]),
    ...(canCreate
      ? []
      : ['new ones come from a pool that a person fills: the upstream lets nobody else make them']),
    ...(propagationSeconds === 0
      ? []
      : [`a new one may be refused for up to ${durationText(propagationSeconds)} after it was made`]),
    ...(canSuspend
      ? []
      : [
          soakSeconds === 0
            ? 'nothing can be suspended: there is no soak, and the revocation is the first step'
            : `nothing can be suspended: for ${durationText(soakSeconds)} the old one is kept for what it has made, and then revoked`,
        ]),
    ending(facts),
    use(facts),
  ];
}

function beside({ overlap }: Capabilities, live: number): string {
  switch (overlap.kind) {
    case 'dual':
      return `old and new work beside each other until the old one is revoked: ${overlap.maxLive} at a time, ${live} now`;
    case 'grace':
      return `the upstream ends the old one itself, ${durationText(overlap.seconds)} after the new one was made`;
    case 'none':
      return `the new one cuts the old one off at once (${overlap.cutsAt === 'issue' ? 'when it is made' : 'when it is activated'})`;
  }
}

function ending({ revocation, revocationDelaySeconds: seconds, takenLonger }: Capabilities): string {
  const usual = seconds === 0 ? 'is dead at once' : `may work for ${durationText(seconds)} more`;
  const after = takenLonger === undefined ? usual : `${usual}; ${takenLonger}`;
  switch (revocation) {
    case 'api':
      return `what is revoked ${after}`;
    case 'manual':
      return `a person ends the old one at the upstream; it then ${after}`;
    case 'deploy-hook':
      return `the old one ends with a deployment; it then ${after}`;
  }
}

function use({ lastUsedLagSeconds: lag }: Capabilities): string {
  if (lag === undefined)
    return 'it does not tell when one was used last: holders have to prove that they have moved';
  return lag === 0
    ? 'it shows at once who still uses the old one'
    : `it shows a use up to ${durationText(lag)} later`;
}
