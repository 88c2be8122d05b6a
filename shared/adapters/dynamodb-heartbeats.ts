import type { Instant } from '../domain/clock.ts';
import type { FunctionName } from '../names.ts';
import type { Heartbeats } from '../ports/heartbeats.ts';
import { heartbeatItem, keys, text } from './ledger-items.ts';
import { LedgerTable, type Store } from './ledger-table.ts';

/** Heartbeats in the ledger's table, beside what the stream's readers look at. */
export class DynamoDbHeartbeats implements Heartbeats {
  readonly #table: LedgerTable;

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
  }

  async beat(functionName: FunctionName): Promise<void> {
    await this.#table.put(heartbeatItem(this.#table.tenant, functionName, this.#table.now()));
  }

  async last(functionName: FunctionName): Promise<Instant | undefined> {
    const item = await this.#table.getLagging(keys.heartbeat(this.#table.tenant, functionName));
    return item && text(item, 'at');
  }
}
