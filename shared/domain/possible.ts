import { capabilitiesOf, type Overlap } from './capabilities.ts';
import { errorsOf, RekeyError, throwAll } from './errors.ts';
import type { Holder } from './holders.ts';
import { agentsOf, LAG_MARGIN_SECONDS, type Mode, type Policy, type PolicyInput } from './policy.ts';

/** What a provider can do, as far as a policy depends on it. */
export interface Able {
  readonly provider: string;
  readonly overlap: Overlap;
  readonly canSuspend: boolean;
  /** How far its view of use runs behind, in seconds; absent where it tells of none. */
  readonly usageLagSeconds?: number;
}

/** What a target asks of the policy of its credential, beyond the bounds of its type. */
export interface Demands {
  /**
   * What a credential has made outlives its last use (tokens that it signed): once its holders have moved it stays for so
   * long, whether or not it can be suspended.
   */
  readonly soakSeconds?: number;
  readonly maxIntervalSeconds?: number;
  /** How many agents may share it. */
  readonly maxAgents?: number;
  /** Why, as a message has it: "a token that … ". */
  readonly why: string;
}

/**
 * What is declared, with the default of what the provider can't do, and of what the target demands: nothing soaks that
 * can't be suspended, unless what it made outlives it.
 */
export function withinReach(input: PolicyInput, { canSuspend }: Able, demands?: Demands): PolicyInput {
  const { soakSeconds: soak, maxIntervalSeconds: interval } = demands ?? {};
  const soakSeconds = input.soakSeconds ?? soak ?? (canSuspend ? undefined : 0);
  const intervalSeconds = input.intervalSeconds ?? interval;
  return { ...input, soakSeconds, intervalSeconds };
}

/** @throws RekeyError ERR_POLICY with the field at fault; its `also` has every further one */
export function assertDemands(
  policy: Policy,
  holders: readonly Holder[],
  demands: Demands | undefined,
): void {
  if (demands === undefined) return;
  const { soakSeconds = 0, maxIntervalSeconds = Infinity, maxAgents = Infinity, why } = demands;
  const refuse = (field: string, what: string, remedy: string): void => {
    throw new RekeyError('ERR_POLICY', `${why}: ${what}`, { field, remedy });
  };
  throwAll(
    errorsOf(
      () => {
        if (policy.soakSeconds < soakSeconds)
          refuse(
            'policy.soak',
            `it stays for ${soakSeconds} s after its holders have moved, and the soak is ${policy.soakSeconds} s`,
            `leave policy.soak out, or use at least ${soakSeconds} s`,
          );
      },
      () => {
        if (policy.intervalSeconds > maxIntervalSeconds)
          refuse(
            'policy.interval',
            `its interval is ${maxIntervalSeconds} s at most, whatever exception there is`,
            `use an interval of at most ${maxIntervalSeconds} s`,
          );
      },
      () => {
        if (agentsOf(holders) > maxAgents)
          refuse(
            'holders',
            `${maxAgents} agent may have it, and ${agentsOf(holders)} are declared`,
            'declare a credential of its own for each agent',
          );
      },
    ),
  );
}

/**
 * Refuses holders that verify what nothing is published of.
 * @throws RekeyError ERR_DECLARATION
 */
export function assertVerifiable(
  holders: readonly Holder[],
  { type, provider }: { readonly type: string; readonly provider: string },
): void {
  const at = holders.findIndex((holder) => holder.kind === 'client' && holder.verifies === true);
  if (at < 0 || capabilitiesOf(type, provider)?.published === true) return;
  throw new RekeyError(
    'ERR_DECLARATION',
    `nobody verifies a ${type} of ${provider} by what Rekey publishes`,
    {
      field: `holders[${at}].verifies`,
      remedy:
        'leave it out: this holder has the secret, and proves that; docs/identities.md has what is published',
    },
  );
}

/**
 * Refuses a policy that the provider can't keep, before anything is registered under it.
 * @throws RekeyError ERR_POLICY with the field at fault; its `also` has every further one
 */
export function assertPossible(policy: Policy, mode: Mode, able: Able, demands?: Demands): void {
  throwAll(
    errorsOf(
      () => assertSoak(policy, able, demands),
      () => assertKept(policy, mode, able),
      () => {
        if (mode === 'enforce') assertSeen(policy, able);
      },
    ),
  );
}

function assertSoak({ soakSeconds }: Policy, { provider, canSuspend }: Able, demands?: Demands): void {
  if (canSuspend || soakSeconds === 0 || demands?.soakSeconds !== undefined) return;
  throw new RekeyError('ERR_POLICY', `${provider} can't suspend a credential: nothing can soak`, {
    field: 'policy.soak',
    remedy: 'leave policy.soak out; the way back is until the revocation, so a longer window gives more time',
  });
}

/** Holders move while both work: for the whole window, and in mode overlap for good. */
function assertKept({ windowSeconds }: Policy, mode: Mode, { provider, overlap }: Able): void {
  if (mode === 'overlap' && overlap.kind !== 'dual') {
    throw new RekeyError('ERR_POLICY', `${provider} keeps no old credential beside the new one`, {
      field: 'mode',
      remedy: 'write mode: enforce, and let holders move within what the provider allows; or mode: observe',
    });
  }
  if (overlap.kind !== 'grace' || windowSeconds <= overlap.seconds) return;
  throw new RekeyError(
    'ERR_POLICY',
    `${provider} ends an old credential ${overlap.seconds} s after the new one was made, and the window takes ${windowSeconds} s`,
    {
      field: 'policy.window',
      remedy: `use a window of at most ${overlap.seconds} s, and holders with a ttl of at most half of it`,
    },
  );
}

/** Refuses where no window could show that an old credential is no longer used (hard decision 8). */
function assertSeen(
  { evidenceOfUse, deadlineSeconds }: Policy,
  { provider, usageLagSeconds: lagSeconds }: Able,
): void {
  const seenAfter = lagSeconds === undefined ? Infinity : lagSeconds + LAG_MARGIN_SECONDS;
  if (evidenceOfUse === 'holders' || lagSeconds === 0 || seenAfter <= deadlineSeconds) return;
  const tells = lagSeconds !== undefined;
  const told = tells
    ? `tells of use up to ${lagSeconds} s later, and the window's deadline is after ${deadlineSeconds} s`
    : 'does not tell when a credential was used last';
  throw new RekeyError('ERR_POLICY', `${provider} ${told}`, {
    field: 'policy.evidenceOfUse',
    remedy: `write evidenceOfUse: holders, so that what the holders prove is enough to end an old one; or mode: overlap, which ends none${
      tells ? `; or a deadline of at least ${seenAfter} s` : ''
    }`,
  });
}
