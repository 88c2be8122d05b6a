// What a test of upgrades looks at: which code is live, and what an execution has been through.
import { setTimeout as sleep } from 'node:timers/promises';
import { GetFunctionConfigurationCommand, LambdaClient, paginateListFunctions } from '@aws-sdk/client-lambda';
import {
  DescribeExecutionCommand,
  ListExecutionsCommand,
  paginateGetExecutionHistory,
  paginateListExecutions,
  SFNClient,
  type ExecutionListItem,
} from '@aws-sdk/client-sfn';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { ShowAnswer } from '../../shared/api/messages.ts';
import { OUTPUT } from '../../shared/names.ts';

/** Waits until a rotation stands in `phase`. */
export async function reaches(world: World, name: string, rotationId: string, phase: string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(150)) {
    const { rotations } = await rekeyJson<ShowAnswer>(['show', name], world.env);
    if (rotations.find((one) => one.id === rotationId)?.phase === phase) return;
  }
  throw new Error(`the rotation of ${name} never came to phase ${phase}`);
}

/** The hash of the code behind the alias `live` of each function. */
export async function liveCode(world: World): Promise<Map<string, string>> {
  const client = new LambdaClient(world.stack.clientConfig);
  const live = new Map<string, string>();
  for await (const { Functions = [] } of paginateListFunctions({ client }, {})) {
    for (const { FunctionName = '' } of Functions) {
      const config = await client.send(
        new GetFunctionConfigurationCommand({ FunctionName, Qualifier: 'live' }),
      );
      live.set(FunctionName, config.CodeSha256 ?? '');
    }
  }
  client.destroy();
  return live;
}

/** What a machine is executing. */
export async function runningOf(
  world: World,
  machine: typeof OUTPUT.lifecycle | typeof OUTPUT.emergency,
): Promise<ExecutionListItem[]> {
  const client = new SFNClient(world.stack.clientConfig);
  const { executions = [] } = await client.send(
    new ListExecutionsCommand({ stateMachineArn: world.output(machine), statusFilter: 'RUNNING' }),
  );
  client.destroy();
  return executions;
}

/** The executions of a rotation's lifecycle: how each ended, and the states that it went through. */
export async function lifecyclesOf(
  world: World,
  rotationId: string,
): Promise<{ status: string | undefined; states: string[] }[]> {
  const client = new SFNClient(world.stack.clientConfig);
  const stateMachineArn = world.output(OUTPUT.lifecycle);
  const found = [];
  for await (const { executions = [] } of paginateListExecutions({ client }, { stateMachineArn })) {
    for (const { executionArn, name } of executions) {
      if (name?.startsWith(rotationId) !== true) continue;
      const states: string[] = [];
      for await (const { events = [] } of paginateGetExecutionHistory({ client }, { executionArn })) {
        states.push(...events.flatMap((event) => event.stateEnteredEventDetails?.name ?? []));
      }
      const { status } = await client.send(new DescribeExecutionCommand({ executionArn }));
      found.push({ status, states });
    }
  }
  client.destroy();
  return found;
}
