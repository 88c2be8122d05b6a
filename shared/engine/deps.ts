import type { Clock } from '../domain/clock.ts';
import type { Redacted } from '../domain/redacted.ts';
import type { AgentStore } from '../ports/agents.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { ReaderLog } from '../ports/reader-log.ts';
import type { Sealer } from '../ports/sealer.ts';
import type { Vault } from '../ports/vault.ts';
import type { Workflow } from '../ports/workflow.ts';
import type { AnyProvider, Reach } from '../providers/provider.ts';

/** What the engine works with. Handlers compose it; tests put real or faulty parts in. */
export interface EngineDeps {
  readonly ledger: Ledger;
  /** Keeps who is seen at the source; what it holds decides nothing. */
  readonly readers: ReaderLog;
  /** What agents have said of themselves. */
  readonly agents: AgentStore;
  /** Encrypts what acknowledgements are held against; only functions that open a window may. */
  readonly sealer: Pick<Sealer, 'seal'>;
  readonly vault: Vault;
  readonly workflow: Workflow;
  /** Loads the provider of a type; ERR_DECLARATION where there is none. */
  readonly providerFor: (type: string, provider: string) => Promise<AnyProvider>;
  /** Reads an administrative secret. Functions without that right give a function that throws. */
  readonly readAdmin: (adminSecret: string) => Promise<Redacted<string>>;
  /** Where the calls of providers may go. */
  readonly reach: Reach;
  readonly clock: Clock;
  /** A fresh UUID. */
  readonly newId: () => string;
  readonly timing: EngineTiming;
}

export interface EngineTiming {
  /** Seconds without progress after which the reconciler looks at a rotation. */
  readonly stuckAfterSeconds: number;
}

/** How often the reconciler repairs one rotation before it pages a person. */
export const MAX_REPAIRS = 5;
