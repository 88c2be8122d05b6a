import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../../shared/adapters/dynamodb-agents.ts';
import { KmsSealer } from '../../shared/adapters/kms-sealer.ts';
import type { Item } from '../../shared/adapters/ledger-items.ts';
import { AgentApiWorld } from './agent-api.ts';
import { startTable } from './table.ts';

/** The API of agents on the table and the KMS of a local stack, for the tests of one file; each has a tenant of its own. */
export class AgentsOnTable {
  stack!: LocalStack;
  world!: AgentApiWorld;
  agents!: DynamoDbAgents;
  #aws!: AwsCalls;
  #tenant = '';

  constructor(caller: string) {
    let key: string;
    beforeAll(async () => {
      ({ stack: this.stack, aws: this.#aws } = await startTable(caller));
      const made = await this.#aws.json<{ KeyMetadata: { KeyId: string } }>('kms', 'CreateKey', {});
      key = made.KeyMetadata.KeyId;
    });
    afterAll(async () => {
      await this.stack.stop();
    });
    beforeEach(() => {
      const aws = this.#aws;
      const tenant = `t-${randomUUID()}`;
      this.stack.gateway.faults.clear();
      this.#tenant = tenant;
      this.world = new AgentApiWorld((clock) => {
        this.agents = new DynamoDbAgents({ aws, table: 'ledger', tenant, clock });
        return { agents: this.agents, sealer: new KmsSealer({ aws, key }) };
      });
    });
  }

  /** Every item of this test's tenant. */
  async stored(): Promise<Item[]> {
    const { Items = [] } = await this.#aws.json<{ Items?: Item[] }>('dynamodb', 'Scan', {
      TableName: 'ledger',
      FilterExpression: 'begins_with(pk, :t)',
      ExpressionAttributeValues: { ':t': { S: `${this.#tenant}#` } },
    });
    return Items;
  }
}
