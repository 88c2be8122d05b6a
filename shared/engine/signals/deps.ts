import type { Decision, SignalPolicy } from '../../domain/signals/decide.ts';
import type { Signal } from '../../domain/signals/signal.ts';
import type { Trigger } from '../../domain/rotation.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { Alerts, SignalStore } from '../../ports/signals.ts';
import type { Workflow } from '../../ports/workflow.ts';
import type { Requested } from '../requests.ts';
import type { SignalFamilies } from './families.ts';

/** What signals are received with. */
export interface SignalDeps {
  readonly signals: SignalStore;
  readonly ledger: Pick<Ledger, 'byFingerprint' | 'credential' | 'idByName' | 'commit' | 'list' | 'rotation'>;
  readonly workflow: Pick<Workflow, 'startEmergency' | 'startSuspension'>;
  readonly rotate: (request: { name: string; token: string; trigger: Trigger }) => Promise<Requested>;
  readonly families: SignalFamilies;
  readonly alerts: Alerts;
  readonly clock: () => number;
}

/** A signal with who sends it and what the settings say of it. */
export interface Received {
  readonly signal: Signal;
  /** Stands in the audit trail: the name of a source, or the ARN of a person. */
  readonly actor: string;
  readonly policy: SignalPolicy;
  /** Names of credentials by what a source calls them. */
  readonly names?: Readonly<Record<string, string>>;
  /** It was taken before, and may not have been carried out to its end. */
  readonly resumes?: true;
  /** Only says what would be done. */
  readonly dryRun?: boolean;
}

/** What has become of a signal. */
export interface SignalOutcome {
  readonly act: Decision['act'] | 'repeated' | 'over-budget';
  /** Names of the credentials that it is about. */
  readonly credentials: readonly string[];
  /** Names of the token families that it is about, where there are any. */
  readonly families?: readonly string[];
  /** Of the emergency that was started, or of what is held. */
  readonly id?: string;
}
