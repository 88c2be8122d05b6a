import type { GivenConsent } from '../../shared/api/messages.ts';
import type { ConsentRequest } from '../../shared/ports/authorization-server.ts';
import type { EmergencyInput } from '../../shared/ports/workflow.ts';
import type { Change, Notice } from '../../shared/api/messages.ts';
import type { InventoryPage } from '../../shared/adapters/secrets-inventory.ts';
import type { Clock } from '../../shared/domain/clock.ts';
import type { Credential, CredentialHandle } from '../../shared/domain/credential.ts';
import type { CredentialEntry } from '../../shared/domain/declaration.ts';
import type { Family } from '../../shared/domain/families.ts';
import type { PactTerms } from '../../shared/domain/pact.ts';
import type { Rotation, Trigger } from '../../shared/domain/rotation.ts';
import type { PactAnswer } from '../../shared/engine/agents/register-pact.ts';
import type { decommission, DecommissionRequest } from '../../shared/engine/agents/decommission.ts';
import type { SubscriptionRequest } from '../../shared/domain/subscription.ts';
import type { RevocationWish, RevokedCertificate } from '../../shared/engine/certificates/revoke.ts';
import type { ConsentAsked } from '../../shared/engine/families/consent.ts';
import type { ConfirmRootAnswer } from '../../shared/engine/confirm-root.ts';
import type { Requested } from '../../shared/engine/requests.ts';
import type { Affected, rotateAll, StagedOrder } from '../../shared/engine/staged.ts';
import type { HeldSignal } from '../../shared/domain/signals/held.ts';
import type { FamilyLeak } from '../../shared/engine/families/leak.ts';
import type { LeakMatch, LeakReport } from '../../shared/engine/leak.ts';
import type { Received, SignalOutcome } from '../../shared/engine/signals/deps.ts';
import type { VoteRequest } from '../../shared/engine/signals/vote.ts';
import type { AgentStore } from '../../shared/ports/agents.ts';
import type { Subscribed, SubscriptionPage, Unsubscribed } from '../../shared/engine/subscriptions.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { FamilyReads } from '../../shared/ports/families.ts';
import type { ReaderLog } from '../../shared/ports/reader-log.ts';
import type { UpstreamUses } from '../../shared/ports/upstream-uses.ts';
import type { Coordinator } from './coordinator.ts';
import type { DiagnosisServices } from './diagnosis-services.ts';
import type { Call } from '../http/request.ts';

/** What became of a request to pause or to unpause. */
export interface Paused {
  readonly credential: Credential;
  readonly changed: boolean;
  readonly backstop: string;
}

/** What the API acts through. Each method throws RekeyErrors; anything else becomes a 500 without a word. */
export interface ControlServices {
  readonly ledger: Ledger;
  readonly readers: ReaderLog;
  readonly upstreamUses: Pick<UpstreamUses, 'log' | 'coverage'>;
  readonly agents: AgentStore;
  readonly families: FamilyReads;
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  /**
   * Starts a rotation under `token`, the caller's idempotency key or a fresh one. It becomes the rotation's id, so that
   * a repeated request joins what the first has started; another rotation under way is refused.
   */
  requestRotation(input: {
    name: string;
    token: string;
    trigger: Trigger;
    now?: boolean;
  }): Promise<Requested>;
  /** Rotates many, each with a window of its own; the same order again starts nothing twice. */
  rotateAll<A extends Affected>(order: StagedOrder<A>): ReturnType<typeof rotateAll<A>>;
  /** Asks for a rollback; one that is under way already is joined. */
  requestRollback(input: {
    name: string;
    rotationId: string;
    trigger: Trigger;
  }): Promise<{ rotation: Rotation }>;
  /** Records that a holder of kind manual has moved; the same again is success. */
  confirmHolder(input: {
    name: string;
    rotationId: string;
    holder: string;
    trigger: Trigger;
  }): Promise<{ rotation: Rotation }>;
  /** Somebody says that what only a person can end is ended: the upstream is asked; the same again is success. */
  confirmEnd(input: { name: string; rotationId: string; trigger: Trigger }): Promise<{ rotation: Rotation }>;
  /** Records that a person has replaced an administrative credential; the same again is success. */
  confirmRoot(input: {
    name: string;
    trigger: Trigger;
    dryRun: boolean;
  }): Promise<ConfirmRootAnswer & { readonly letIn: readonly string[] }>;
  register(input: { declaration: CredentialEntry; actor: string; dryRun: boolean }): Promise<{
    outcome: 'registered' | 'updated' | 'unchanged';
    changes: readonly Change[];
    notices?: readonly Notice[];
    credential?: Credential;
  }>;
  /** Registers a pact for an agent. */
  registerPact(input: { terms: PactTerms; actor: string; dryRun: boolean }): Promise<PactAnswer>;
  /** Takes an agent out of service; out of it already is success. */
  decommission(request: DecommissionRequest): ReturnType<typeof decommission>;
  /** Stops planner, lifecycle and schedule; paused already is success. */
  pause(input: { name: string; trigger: Trigger }): Promise<Paused>;
  unpause(input: { name: string; trigger: Trigger }): Promise<Paused>;
  /** Lets go of a credential, by name or id; let go of already is success by its id. */
  unregister(input: { name: string; trigger: Trigger; dryRun: boolean; unconfirmed: boolean }): Promise<{
    outcome: 'unregistered' | 'unchanged';
    credential: Credential;
    alive: readonly CredentialHandle[];
    unconfirmed?: readonly CredentialHandle[];
  }>;
  /** Where a person consents for a family of tokens. */
  askForConsent(input: { name: string; request: ConsentRequest }): Promise<ConsentAsked>;
  /** The tokens of a consent become the family's; `consent` is absent where the client acts for itself. */
  connectFamily(input: {
    name: string;
    consent: GivenConsent | undefined;
    trigger: Trigger;
  }): Promise<{ family: Family }>;
  /** A page of the account's secrets. */
  inventory(input: { prefix?: string | undefined; page?: string | undefined }): Promise<InventoryPage>;
  /** A page of the subscriptions to events. */
  subscriptions(page: string | undefined): Promise<SubscriptionPage>;
  /** Subscribes a fleet; the same again is success and completes what was interrupted. */
  subscribe(request: SubscriptionRequest & { actor: string; dryRun: boolean }): Promise<Subscribed>;
  /** Ends a subscription; one that is gone already is success. */
  unsubscribe(request: { id: string; actor: string; dryRun: boolean }): Promise<Unsubscribed>;
  /**
   * `token` is the caller's idempotency key or a fresh one: a second start with the same one joins the first, and adds what that
   * lacks. Answers with the ids of all that is revoked under it.
   */
  startEmergency(input: {
    credentials: EmergencyInput['credentials'];
    incidentId: string;
    reason: string;
    actor: string;
    replace: boolean;
    token: string;
  }): Promise<{ id: string; credentials: readonly string[] }>;
  /** Revokes one certificate of an agent before its end; revoked already is success. */
  revokeCertificate(wish: RevocationWish): Promise<RevokedCertificate>;
  /** Says what a leaked value is, and revokes it where it may work. */
  reportLeak(report: LeakReport): Promise<readonly LeakMatch[]>;
  /** The same of token families. */
  reportFamilyLeak(report: LeakReport): Promise<readonly FamilyLeak[]>;
  /** Takes a signal that a person has sent. */
  receiveSignal(received: Pick<Received, 'signal' | 'actor' | 'dryRun'>): Promise<SignalOutcome>;
  /** Signals that nobody has decided on yet. */
  heldSignals(): Promise<readonly HeldSignal[]>;
  voteOnSignal(vote: VoteRequest): Promise<HeldSignal>;
  emergency(
    id: string,
  ): Promise<{ status: string; startedAt: string; endedAt?: string; results?: unknown } | undefined>;
  readonly diagnosis: DiagnosisServices;
}

/** The answer of a route. */
export interface Done<T> {
  readonly status: 200 | 201 | 202;
  readonly body: T;
}

/** One route of the API: answers a call, or throws a RekeyError. */
export type Route = (call: Call, services: ControlServices) => Promise<Done<unknown>>;
