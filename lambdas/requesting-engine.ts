import { randomUUID } from 'node:crypto';
import { DynamoDbAgents } from '../shared/adapters/dynamodb-agents.ts';
import type { DynamoDbLedger } from '../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbReaderLog } from '../shared/adapters/dynamodb-reader-log.ts';
import type { Store } from '../shared/adapters/ledger-table.ts';
import { SecretsManagerVault } from '../shared/adapters/secrets-manager-vault.ts';
import { RekeyError } from '../shared/domain/errors.ts';
import type { EngineDeps } from '../shared/engine/deps.ts';
import { ENV } from '../shared/names.ts';
import type { Workflow } from '../shared/ports/workflow.ts';
import { optionalSetting } from './compose.ts';

/** The engine of a function that asks for rotations and leads none: no provider, no administrative secret, nothing sealed. */
export function requestingEngine(store: Store, ledger: DynamoDbLedger, workflow: Workflow): EngineDeps {
  const never = (): never => {
    throw new RekeyError('ERR_PROTOCOL', 'whoever asks for rotations has no part in this');
  };
  return {
    ledger,
    readers: new DynamoDbReaderLog(store),
    agents: new DynamoDbAgents(store),
    sealer: { seal: never },
    workflow,
    vault: new SecretsManagerVault(store.aws),
    providerFor: never,
    readAdmin: never,
    clock: store.clock,
    newId: randomUUID,
    reach: { privateHosts: [] },
    timing: { stuckAfterSeconds: Number(optionalSetting(ENV.stuckAfter) ?? 900) },
  };
}
