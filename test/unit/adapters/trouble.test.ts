import { describe, expect, it } from 'vitest';
import { AwsServiceError } from '../../../shared/adapters/aws-client.ts';
import { troubleOf } from '../../../shared/adapters/trouble.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';

const answered = (name: string, message = '', status = 400): AwsServiceError =>
  new AwsServiceError(name, message, status);

describe('what an error of AWS says about the thing that was asked for', () => {
  it.each([
    ['absent', answered('ResourceNotFoundException')],
    ['absent', answered('StateMachineDoesNotExist')],
    ['absent', answered('NoSuchKey', '', 404)],
    [
      'denied',
      answered(
        'AccessDeniedException',
        'User: a is not authorized to perform: secretsmanager:GetSecretValue',
      ),
    ],
    ['denied', answered('AccessDenied', 'Access Denied', 403)],
    ['key-denied', answered('AccessDeniedException', 'Access to KMS is not allowed')],
    [
      'key-denied',
      answered('AccessDeniedException', 'User: a is not authorized to perform: kms:Decrypt on this key'),
    ],
    ['key-unusable', answered('DecryptionFailure')],
    ['key-unusable', answered('InvalidRequestException', 'The KMS key is disabled')],
    ['deleted', answered('InvalidRequestException', 'the secret because it was marked for deletion')],
    ['throttled', answered('ThrottlingException')],
    ['throttled', answered('ProvisionedThroughputExceededException')],
    ['no-answer', answered('InternalServiceError', '', 500)],
    ['unexpected', answered('InvalidRequestException', 'something else')],
    ['unexpected', answered('ValidationException')],
    ['unexpected', new TypeError('a defect')],
    ['unexpected', new RekeyError('ERR_NOT_FOUND', 'no credential')],
  ])('%s: %s', (trouble, error) => {
    expect(troubleOf(error)).toBe(trouble);
  });

  it('is told by the last attempt, once all have failed', () => {
    const failed = (cause: unknown): RekeyError =>
      new RekeyError('ERR_UNAVAILABLE', 'in 4 attempts', { cause });
    expect(troubleOf(failed(answered('ThrottlingException')))).toBe('throttled');
    expect(troubleOf(failed(new Error('ECONNRESET')))).toBe('no-answer');
  });
});
