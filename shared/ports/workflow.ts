/** The lifecycle and emergency machines, as the engine sees them. */
export interface Workflow {
  /** Starts the lifecycle of a rotation; a second start of the same attempt is success. */
  startLifecycle(input: LifecycleInput, attempt: number): Promise<void>;
  /** Answers a waiting state. A token that nobody waits on any more is success. */
  answer(taskToken: string, output: LifecycleOutcome): Promise<void>;
  /**
   * Starts the emergency machine under `id`, where it was not. Answers with what runs under it: that may be another emergency.
   * @throws RekeyError ERR_UNAVAILABLE where something does, and nobody can tell what
   */
  startEmergency(id: string, input: EmergencyInput): Promise<EmergencyInput>;
  /** How one execution stands; undefined where there is none. */
  emergency(id: string): Promise<EmergencyStatus | undefined>;
  /** Starts the machine that suspends or restores the values of a held signal; a second start under `id` is success. */
  startSuspension(id: string, input: SuspensionInput): Promise<void>;
}

/** Input of the suspension machine. No secret, ever. */
export interface SuspensionInput {
  readonly action: 'suspend' | 'restore';
  /** Of the signal that is or was held. */
  readonly signalId: string;
  readonly incidentId: string;
  readonly reason: string;
  readonly actor: string;
  readonly values: readonly {
    readonly credentialId: string;
    readonly type: string;
    readonly handle: { readonly id: string; readonly generation: number };
  }[];
}

/** Input of the lifecycle machine: which rotation, and whose functions lead it. */
export interface LifecycleInput {
  readonly credentialId: string;
  readonly rotationId: string;
  /** Credential type. */
  readonly type: string;
}

/** What a waiting state of the lifecycle machine is told. */
export interface LifecycleOutcome {
  readonly outcome:
    'window' | 'aborted' | 'stuck' | 'preempted' | 'over' | 'rolling-back' | 'verify' | 'rotate' | 'deferred';
  /** Seconds until the next look at the window or the deferral; of no meaning for the other outcomes. */
  readonly waitSeconds: number;
}

/** Input of the emergency machine. No secret, ever. */
export interface EmergencyInput {
  readonly incidentId: string;
  readonly reason: string;
  readonly actor: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly replace: boolean;
  readonly credentials: readonly {
    readonly credentialId: string;
    /** Credential type; absent where nobody could tell it in time. */
    readonly type?: string;
  }[];
}

export interface EmergencyStatus {
  /** As Step Functions names it: RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED. */
  readonly status: string;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly results?: unknown;
}
