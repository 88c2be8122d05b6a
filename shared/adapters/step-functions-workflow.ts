import type { EmergencyInput, EmergencyStatus, LifecycleOutcome, Workflow } from '../ports/workflow.ts';
import { isAwsError, type AwsCalls } from './aws-client.ts';

/** Step Functions behind the Workflow port. Execution names make every start idempotent. */
export class StepFunctionsWorkflow implements Workflow {
  readonly #aws: AwsCalls;
  readonly #lifecycleArn: string;
  readonly #emergencyArn: string;

  constructor(options: { aws: AwsCalls; lifecycleArn: string; emergencyArn: string }) {
    this.#aws = options.aws;
    this.#lifecycleArn = options.lifecycleArn;
    this.#emergencyArn = options.emergencyArn;
  }

  startLifecycle(input: { credentialId: string; rotationId: string }, attempt: number): Promise<void> {
    return this.#start(this.#lifecycleArn, `${input.rotationId}-${attempt}`, input);
  }

  async startEmergency(id: string, input: EmergencyInput): Promise<void> {
    await this.#start(this.#emergencyArn, id, input);
  }

  async emergency(id: string): Promise<EmergencyStatus | undefined> {
    try {
      const found = await this.#aws.json<{
        status: string;
        startDate: number;
        stopDate?: number;
        output?: string;
        cause?: string;
      }>('states', 'DescribeExecution', {
        executionArn: `${this.#emergencyArn.replace(':stateMachine:', ':execution:')}:${id}`,
      });
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

  async #start(machine: string, name: string, input: object): Promise<void> {
    try {
      await this.#aws.json('states', 'StartExecution', {
        stateMachineArn: machine,
        name,
        input: JSON.stringify(input),
      });
    } catch (error) {
      if (isAwsError(error, 'ExecutionAlreadyExists')) return;
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
