import type { Clock } from '../../domain/clock.ts';
import type { AgentStore } from '../../ports/agents.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { Sealer } from '../../ports/sealer.ts';
import type { Signatures } from '../../ports/signatures.ts';
import type { Workflow } from '../../ports/workflow.ts';

/** What the agents' side of the engine works with. It reads the ledger and writes nothing there. */
export interface AgentDeps {
  readonly ledger: Pick<Ledger, 'credential' | 'idByName' | 'rotation'>;
  readonly agents: AgentStore;
  readonly sealer: Sealer;
  readonly signatures: Signatures;
  readonly workflow: Pick<Workflow, 'answer'>;
  readonly clock: Clock;
  /** A fresh word that nobody can guess. */
  readonly newNonce: () => string;
}
