import { describe, expect, it } from 'vitest';
import { AwsServiceError, type AwsCalls } from '../../../shared/adapters/aws-client.ts';
import { StepFunctionsWorkflow } from '../../../shared/adapters/step-functions-workflow.ts';

const emergency = {
  incidentId: 'INC-1',
  reason: 'leaked',
  actor: 'responder',
  startedAt: '2026-11-22T12:00:00.000Z',
  replace: true,
  credentials: [{ credentialId: 'a' }, { credentialId: 'b' }],
};

/** A workflow whose execution exists already, with this input. */
function existing(input: object | undefined): StepFunctionsWorkflow {
  const aws = {
    async json(_service: string, operation: string): Promise<unknown> {
      if (operation === 'StartExecution')
        throw new AwsServiceError('ExecutionAlreadyExists', 'it exists', 400);
      if (input === undefined) throw new AwsServiceError('ExecutionDoesNotExist', 'not yet', 400);
      return { status: 'RUNNING', startDate: 0, input: JSON.stringify(input) };
    },
  };
  return new StepFunctionsWorkflow({
    // The class has private fields, which a stand-in can't have; the adapter uses `json` alone.
    aws: aws as unknown as AwsCalls,
    lifecycleArn: 'arn:aws:states:eu-central-1:111122223333:stateMachine:lifecycle',
    emergencyArn: 'arn:aws:states:eu-central-1:111122223333:stateMachine:emergency',
    suspensionArn: 'arn:aws:states:eu-central-1:111122223333:stateMachine:suspension',
  });
}

describe('a second start of an emergency', () => {
  it('answers with what runs under its name, whatever was asked for', async () => {
    const other = { ...emergency, startedAt: 'later', credentials: [{ credentialId: 'c' }] };
    expect(await existing(emergency).startEmergency('key', other)).toEqual(emergency);
  });

  it('is not called success where nobody can see what runs', async () => {
    await expect(existing(undefined).startEmergency('key', emergency)).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
    });
  });
});
