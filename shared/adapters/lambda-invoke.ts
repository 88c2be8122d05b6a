import { RekeyError } from '../domain/errors.ts';
import type { AwsCalls } from './aws-client.ts';

/**
 * Calls a function and gives its answer.
 * @throws RekeyError ERR_UNAVAILABLE where the function failed without an answer of its own.
 */
export async function invoke<Output>(aws: AwsCalls, functionArn: string, input: object): Promise<Output> {
  const answer = await aws.request(
    'lambda',
    {
      method: 'POST',
      path: `/2015-03-31/functions/${encodeURIComponent(functionArn)}/invocations`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(input),
    },
    // One attempt: a call that timed out may still be running, and its repetition would only queue behind it.
    { timeoutMs: 26_000, attempts: 1 },
  );
  if (answer.headers['x-amz-function-error'] !== undefined) {
    throw new RekeyError('ERR_UNAVAILABLE', 'a function of Rekey failed', {
      remedy: 'its log group has the error; then try again',
    });
  }
  return JSON.parse(answer.text) as Output;
}
