import type { Instant } from './clock.ts';
import { RekeyError } from './errors.ts';
import type { Holder } from './holders.ts';
import type { AwaitedOperator } from './operator.ts';
import type { Mode, Policy } from './policy.ts';

/**
 * Names a credential at its upstream without being secret. Slots are reused (alternating users, two-slot keys), so
 * the id alone is not enough: the generation tells which use of the slot is meant (hard decision 2).
 */
export interface CredentialHandle {
  readonly id: string;
  readonly generation: number;
  /** Request token under which it was issued; makes a lost answer discoverable. */
  readonly token?: string;
  /**
   * Fingerprint of the administrative login that has seen it live: only to that one "not found" means gone (docs/adr/034). Absent
   * where no other account could answer so, and in what older versions wrote.
   */
  readonly seenBy?: string;
}

/** A key as the ledger knows it: where it is, which version of the secret carries it, its fingerprint. */
export interface Key {
  readonly handle: CredentialHandle;
  /** Version of the secret, which is the rotation's token. */
  readonly versionId: string;
  readonly fingerprint: string;
  readonly issuedAt: Instant;
  /** When it ends by itself, at the earliest. Absent where nothing ends it, and in what older versions wrote. */
  readonly endsAt?: Instant;
}

/** Where a credential is at home (hard decision 12): one writing region each. */
export interface Home {
  readonly tenant: string;
  readonly account: string;
  readonly region: string;
}

/** How far something that existed has become Rekey's own. */
export type AdoptionState =
  /** Looked at only: Rekey has marked nothing and may revoke nothing. */
  | 'observed'
  /** A take-over is under way: the login may carry the mark, the secret the tag. */
  | 'intended'
  | 'adopted';

export type CredentialStatus =
  /** Being provisioned; not usable yet. */
  | 'registering'
  | 'active'
  /** Revoked in an emergency and not yet replaced: agents must not work. */
  | 'halted'
  /** Rekey has let go of it, or nothing came of its registration; its head stays as the end of its audit chain. */
  | 'unregistered';

/** How far an emergency has come; later stages imply the earlier ones. */
export const INCIDENT_STAGES = [
  'intended',
  'revoked',
  'halted',
  'generated',
  'validated',
  'replaced',
  'resumed',
] as const;
export type IncidentStage = (typeof INCIDENT_STAGES)[number];

/** The newest emergency of a credential. It stays after its end, so that a late repetition is recognised. */
export interface Incident {
  /** As the operators call it; several emergencies may share it. */
  readonly id: string;
  /** The emergency itself, by its execution: one incident may be fought twice. Absent in what older versions wrote. */
  readonly execution?: string;
  /** When the ledger took it. Absent in what older versions wrote. */
  readonly began?: Instant;
  /** Who started it, and why. Absent in what older versions wrote. */
  readonly actor?: string;
  readonly reason?: string;
  readonly stage: IncidentStage;
  /** Everything up to this generation is dead; the replacement's is higher. */
  readonly generation: number;
  /** Token of the replacement, which is also its rotation's id. */
  readonly replacement: string;
  /** What only a person can end, from when it was asked for until the revocation is recorded (hard decision 9). */
  readonly awaitsOperator?: AwaitedOperator;
  /** What a sweep set out to end after the revocation, until it is recorded that it is dead. */
  readonly late?: readonly CredentialHandle[];
}

/** What the planner has met on its way to the next rotation (P5). It counts for one version of the secret only. */
export interface PlanState {
  /** The current version that it is about; once another is current, none of this counts any more. */
  readonly of: string;
  /** Planned rotations that were aborted. */
  readonly attempts: number;
  /** The next attempt comes no sooner. */
  readonly notBefore?: Instant;
  /** Why it was put off until then, where another rotation goes first. */
  readonly waitsFor?: string;
  /** Since when another one goes first, whichever. */
  readonly waitsSince?: Instant;
  /** A person was told that attempts fail. */
  readonly escalated?: boolean;
  /** A person was told that the deadline has passed. */
  readonly overdue?: boolean;
  /** A person was told that it ends soon by itself. */
  readonly ending?: boolean;
  /** Its owner was told that what is done by hand comes due. */
  readonly announced?: boolean;
  /** A rollback brought this version back: only a person starts the next rotation. */
  readonly rolledBack?: boolean;
}

/** A person's decision that nothing rotates or retires for a while. Emergencies and rollbacks ignore it. */
export interface Pause {
  readonly since: Instant;
  readonly actor: string;
  readonly reason: string;
}

/** A pause in words: since when, by whom and why. */
export function pauseText({ since, actor, reason }: Pause): string {
  return `paused since ${since} by ${actor}: ${reason}`;
}

/** What is declared of an administrative credential that Rekey itself uses (C9). */
export interface RootTerms {
  /** Who answers for it, and does by hand what Rekey can't. */
  readonly owner: string;
  /** The least that it has to be able to do, in words. */
  readonly scope: string;
}

/** Somebody who is declared to have seen a value. */
export interface Knower {
  readonly name: string;
  /** Version of the secret that they have seen: the one of the day on which they were declared. Absent before there is one. */
  readonly version?: string;
}

/** The head of a credential in the ledger: state, not intent. */
export interface Credential extends Home {
  /** Opaque and never reused. */
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly provider: string;
  readonly secretName: string;
  /** Known once the secret exists. */
  readonly secretArn?: string;
  /** As the provider's `target` returns it; not secret. */
  readonly target: unknown;
  /** The provider's `identity` of the target, reserved like the name; absent where the provider has none. */
  readonly targetIdentity?: string;
  /** Name or ARN of the secret with the administrative credential; what is only observed may have none. */
  readonly adminSecret?: string;
  /** Of an administrative credential of Rekey's own, type `root`; absent for every other type. */
  readonly root?: RootTerms;
  /** Of a secret and a login that were there before; absent where Rekey made them. */
  readonly adoption?: AdoptionState;
  /** What a person does at the upstream to revoke it, where Rekey may not. */
  readonly byHand?: string;
  readonly policy: Policy;
  /** The schedule that Secrets Manager was last given; it may lag behind the policy. Absent where it has none. */
  readonly backstopDays?: number;
  readonly mode: Mode;
  readonly holders: readonly Holder[];
  /** People who are declared to have seen the value. Absent where none are. */
  readonly knownBy?: readonly Knower[] | undefined;
  readonly status: CredentialStatus;
  /** What agents read as AWSCURRENT. */
  readonly current?: Key;
  /**
   * Every handle that may work at the upstream: current, pending, old ones not yet revoked. What an emergency needs
   * stands in this one item, so that its path is a single read.
   */
  readonly live: readonly CredentialHandle[];
  /** Generations ever handed out. */
  readonly generation: number;
  /** The one rotation that is not yet over. */
  readonly activeRotation?: string;
  readonly plan?: PlanState;
  /** The findings of the policy that the audit trail has, by their keys. */
  readonly flagged?: readonly string[];
  readonly paused?: Pause;
  /** Values that are suspended while a signal about them waits for people, by the signal's id. */
  readonly suspended?: readonly {
    readonly signal: string;
    readonly handle: Pick<CredentialHandle, 'id' | 'generation'>;
    /** From when on its upstream was known to refuse it; absent while it is only intended. Older versions don't say. */
    readonly since?: Instant;
  }[];
  /** Raised by an emergency; a write of an older epoch is refused (hard decision 3). */
  readonly epoch: number;
  readonly incident?: Incident;
  /** Raised by every commit: the optimistic lock that serialises everything per credential. */
  readonly version: number;
  /** Number and hash of the newest audit record. */
  readonly seq: number;
  readonly chain: string;
  readonly registeredAt: Instant;
  readonly updatedAt: Instant;
}

const NAMED = {
  field: 'target.name',
  text: 'the name of the target belongs to another credential',
  another: 'name',
};

/** What of a target no two credentials share, by type. */
const OWN: Readonly<Record<string, { field: string; text: string; another: string }>> = {
  database: {
    field: 'target.ownerRole',
    text: "the target's users belong to another credential",
    another: 'owner role',
  },
  'signing-key': NAMED,
  'agent-token': NAMED,
  'certificate-authority': NAMED,
};

/** The same of a provider whose target has other fields than those of its type. */
const OWN_OF_PROVIDER: typeof OWN = {
  leaf: {
    field: 'target.holder',
    text: 'the SPIFFE id of the target belongs to another credential',
    another: 'holder or instance',
  },
};

/** The refusal of a credential whose target is another one's already: two would end each other's keys. */
export function targetTaken(
  holder: Pick<Credential, 'name' | 'type' | 'provider'>,
  cause?: unknown,
): RekeyError {
  const { field, text, another } = OWN_OF_PROVIDER[holder.provider] ??
    OWN[holder.type] ?? {
      field: 'target',
      text: 'the target belongs to another credential',
      another: 'target',
    };
  return new RekeyError('ERR_DECLARATION', text, {
    field,
    remedy: `${holder.name} has it; declare another ${another}`,
    ...(cause === undefined ? {} : { cause }),
  });
}
