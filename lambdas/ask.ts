import type { AwsCalls } from '../shared/adapters/aws-client.ts';
import { invoke } from '../shared/adapters/lambda-invoke.ts';
import { errorOf } from '../shared/api/problems.ts';
import type { ErrorJson } from '../shared/domain/errors.ts';

/** Calls a function whose refusals are answers: they are raised here again with field and remedy. */
export async function ask<T extends object>(aws: AwsCalls, functionArn: string, request: object): Promise<T> {
  const answer = await invoke<T | { error: ErrorJson }>(aws, functionArn, request);
  if ('error' in answer) throw errorOf(answer.error);
  return answer;
}
