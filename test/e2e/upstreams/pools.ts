import { DynamoDBClient, ListTablesCommand, paginateScan } from '@aws-sdk/client-dynamodb';
import type { LocalStack } from '../../../local/stack.ts';
import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { deleteAtConsole, type KeyConsole } from '../../fakes/console-keys.ts';
import type { UpstreamServer } from '../../fakes/upstream.ts';
import { loseAnswer, type PlayedUpstream } from './played.ts';

/** What upstreams with nothing but a console have in common: a key is taken by a write to the ledger. */
export function byConsole(
  stack: LocalStack,
  fake: AsyncDisposable & { readonly server: UpstreamServer; readonly console: KeyConsole },
  rotator: string,
): Pick<PlayedUpstream, 'endByHand' | 'loseCreation' | 'live'> & AsyncDisposable {
  return {
    endByHand: async (byHand) => deleteAtConsole(fake.server.url, byHand),
    loseCreation: () => loseAnswer(stack, { service: 'dynamodb', operation: 'PutItem', function: rotator }),
    live: async () => {
      const claimed = await claimedPrints(stack);
      const values = [...fake.console.keys.all.values()].map(({ value }) => value);
      return values.filter((value) => claimed.has(fingerprint(new Redacted(value)))).length;
    },
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Fingerprints of the keys that were taken from any pool. */
async function claimedPrints(stack: LocalStack): Promise<Set<string>> {
  const dynamo = new DynamoDBClient(stack.clientConfig);
  try {
    const { TableNames = [] } = await dynamo.send(new ListTablesCommand({}));
    const prints = new Set<string>();
    for (const TableName of TableNames) {
      for await (const { Items = [] } of paginateScan({ client: dynamo }, { TableName })) {
        for (const { pk } of Items) {
          const [, print] = /#POOL#(.+)$/.exec(pk?.S ?? '') ?? [];
          if (print !== undefined) prints.add(print);
        }
      }
    }
    return prints;
  } finally {
    dynamo.destroy();
  }
}
