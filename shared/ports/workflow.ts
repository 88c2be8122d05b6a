/** The lifecycle and emergency machines, as the engine sees them. */
export interface Workflow {
  /** Starts the lifecycle of a rotation; a second start under the same name is success. */
  startLifecycle(input: { credentialId: string; rotationId: string }, attempt: number): Promise<void>;
  /** Answers a waiting state. A token that nobody waits on any more is success: the state has timed out. */
  answer(taskToken: string, output: LifecycleOutcome): Promise<void>;
}

/** What a waiting state of the lifecycle machine is told. */
export interface LifecycleOutcome {
  readonly outcome: 'window' | 'aborted' | 'preempted' | 'rolling-back' | 'verify';
  /** Seconds to wait before the next state acts, where it waits. */
  readonly waitSeconds: number;
}
