import type {
  EmergencyInput,
  EmergencyStatus,
  LifecycleInput,
  LifecycleOutcome,
  SuspensionInput,
  Workflow,
} from '../ports/workflow.ts';
import { RekeyError } from '../domain/errors.ts';
import { isAwsError, type AwsCalls } from './aws-client.ts';

/** Status of a state machine, as Step Functions names it. */
export async function machineStatus(aws: AwsCalls, stateMachineArn: string): Promise<string> {
  const { status } = await aws.json<{ status: string }>('states', 'DescribeStateMachine', {
    stateMachineArn,
  });
  return status;
}

/** Step Functions behind the Workflow port. Execution names make every start idempotent. */
export class StepFunctionsWorkflow implements Workflow {
  readonly #aws: AwsCalls;
  readonly #lifecycleArn: string;
  readonly #emergencyArn: string;
  readonly #suspensionArn: string;

  /** A machine that is never started here has an empty ARN, which is said: one that was forgotten would be found by nobody. */
  constructor(options: { aws: AwsCalls; lifecycleArn: string; emergencyArn: string; suspensionArn: string }) {
    this.#aws = options.aws;
    this.#lifecycleArn = options.lifecycleArn;
    this.#emergencyArn = options.emergencyArn;
    this.#suspensionArn = options.suspensionArn;
  }

  async startLifecycle(input: LifecycleInput, attempt: number): Promise<void> {
    await this.#start(this.#lifecycleArn, `${input.rotationId}-${attempt}`, input);
  }

  async startEmergency(id: string, input: EmergencyInput): Promise<EmergencyInput> {
    if (await this.#start(this.#emergencyArn, id, input)) return input;
    let running: string | undefined;
    try {
      running = (await this.#describe(id)).input;
    } catch (error) {
      if (!isAwsError(error, 'ExecutionDoesNotExist')) throw error;
    }
    // Without its input nobody can say that what was asked for is what runs.
    if (running === undefined) {
      throw new RekeyError('ERR_UNAVAILABLE', `emergency ${id} exists, but its input can't be read`);
    }
    return JSON.parse(running) as EmergencyInput;
  }

  async startSuspension(id: string, input: SuspensionInput): Promise<void> {
    await this.#start(this.#suspensionArn, id, input);
  }

  async emergency(id: string): Promise<EmergencyStatus | undefined> {
    try {
      const found = await this.#describe(id);
      return {
        status: found.status,
        startedAt: new Date(found.startDate * 1000).toISOString(),
        ...(found.stopDate === undefined ? {} : { endedAt: new Date(found.stopDate * 1000).toISOString() }),
        ...resultsOf(found.output ?? found.cause),
      };
    } catch (error) {
      if (isAwsError(error, 'ExecutionDoesNotExist')) return undefined;
      throw error;
    }
  }

  async answer(taskToken: string, output: LifecycleOutcome): Promise<void> {
    try {
      await this.#aws.json('states', 'SendTaskSuccess', { taskToken, output: JSON.stringify(output) });
    } catch (error) {
      // The state has timed out or was answered before: its machine has gone on and reads the ledger.
      if (isAwsError(error, 'TaskTimedOut', 'TaskDoesNotExist', 'InvalidToken')) return;
      throw error;
    }
  }

  #describe(id: string): Promise<{
    status: string;
    startDate: number;
    stopDate?: number;
    input?: string;
    output?: string;
    cause?: string;
  }> {
    return this.#aws.json('states', 'DescribeExecution', {
      executionArn: `${this.#emergencyArn.replace(':stateMachine:', ':execution:')}:${id}`,
    });
  }

  /** Whether this call has started it; false where an execution has that name already. */
  async #start(machine: string, name: string, input: object): Promise<boolean> {
    try {
      await this.#aws.json('states', 'StartExecution', {
        stateMachineArn: machine,
        name,
        input: JSON.stringify(input),
      });
      return true;
    } catch (error) {
      if (isAwsError(error, 'ExecutionAlreadyExists')) return false;
      throw error;
    }
  }
}

/**
 * What the machine found for each credential: in its output, or in the cause of its failure, since a failed execution
 * has no output. A failure of another origin tells nothing here.
 */
function resultsOf(text: string | undefined): { results?: unknown } {
  try {
    const { results } = JSON.parse(text ?? '') as { results?: unknown };
    return results === undefined ? {} : { results };
  } catch {
    return {};
  }
}
