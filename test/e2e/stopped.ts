import {
  DeleteFunctionConcurrencyCommand,
  LambdaClient,
  paginateListFunctions,
  PutFunctionConcurrencyCommand,
} from '@aws-sdk/client-lambda';
import type { World } from '../../local/demo/world.ts';
import { stackName } from '../../shared/names.ts';

/** What of Rekey is stopped: all of it, or all but the directory, which is a stack of its own without anything that rotates. */
export type Stopped = 'all' | 'all but the directory';

/** Functions that nobody can call any more. */
export class StoppedFunctions implements AsyncDisposable {
  readonly #lambda: LambdaClient;
  readonly #stopped: Set<string> = new Set();

  constructor(world: World) {
    this.#lambda = new LambdaClient(world.stack.clientConfig);
  }

  /** How many are stopped. */
  get count(): number {
    return this.#stopped.size;
  }

  /** Takes from them every place to run in, as one stops a function on AWS. */
  async stop(what: Stopped): Promise<void> {
    const directory = stackName('local', 'verifiers');
    for await (const { Functions = [] } of paginateListFunctions({ client: this.#lambda }, {})) {
      for (const { FunctionName = '' } of Functions) {
        if (!FunctionName.startsWith('rekey-local-') || this.#stopped.has(FunctionName)) continue;
        if (what === 'all but the directory' && FunctionName.startsWith(directory)) continue;
        this.#stopped.add(FunctionName);
        await this.#lambda.send(
          new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 0 }),
        );
      }
    }
  }

  /** Lets them run again. The local stage reserves nothing for any of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const FunctionName of this.#stopped)
      await this.#lambda.send(new DeleteFunctionConcurrencyCommand({ FunctionName }));
    this.#lambda.destroy();
  }
}
