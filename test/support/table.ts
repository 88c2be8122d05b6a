import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { createTable } from './engine-world.ts';

/** A local stack with the ledger's table, empty, and calls on it in the name of `caller`. */
export async function startTable(caller: string): Promise<{ stack: LocalStack; aws: AwsCalls }> {
  const stack = await startLocalStack();
  const aws = new AwsCalls({
    region: stack.region,
    endpoint: stack.endpoint,
    credentials: stack.clientConfig.credentials,
    caller,
  });
  await createTable(aws);
  return { stack, aws };
}
