// Puts a function of the tests into a local stack: bundled, zipped, with a role and an alias.
import {
  AddPermissionCommand,
  CreateAliasCommand,
  CreateFunctionCommand,
  LambdaClient,
} from '@aws-sdk/client-lambda';
import type { LocalStack } from '../../local/stack.ts';
import { zippedFunction } from '../../local/verify/bundle.ts';

/** Deploys a handler file and returns the ARN of its alias `live`, which Secrets Manager may invoke. */
export async function deployTestFunction(
  stack: LocalStack,
  name: string,
  file: string,
  role?: string,
): Promise<string> {
  const lambda = new LambdaClient(stack.clientConfig);
  try {
    const made = await lambda.send(
      new CreateFunctionCommand({
        FunctionName: name,
        Runtime: 'nodejs24.x',
        Handler: 'index.handler',
        Role: role ?? `arn:aws:iam::${stack.accountId}:role/test`,
        Timeout: 30,
        Publish: true,
        Code: { ZipFile: await zippedFunction(file) },
      }),
    );
    const alias = await lambda.send(
      new CreateAliasCommand({ FunctionName: name, Name: 'live', FunctionVersion: made.Version ?? '1' }),
    );
    await lambda.send(
      new AddPermissionCommand({
        FunctionName: name,
        Qualifier: 'live',
        StatementId: 'rotation',
        Action: 'lambda:InvokeFunction',
        Principal: 'secretsmanager.amazonaws.com',
      }),
    );
    return alias.AliasArn ?? '';
  } finally {
    lambda.destroy();
  }
}
