import type { Trouble } from '../domain/diagnosis.ts';
import { isRekeyError } from '../domain/errors.ts';
import { AwsServiceError } from './aws-client.ts';

/** Services tell of a key by their own names, and Secrets Manager by the text of a denial alone. */
const KEY = /\bKMS\b|\bkms:/;

/**
 * What an error of AWS says about the thing that was asked for, told apart (traps): only "not found" means absent. The
 * service's text is matched and never passed on. What is none of AWS's is `unexpected`.
 */
export function troubleOf(error: unknown): Trouble {
  // Every attempt has failed: the last one tells whether anybody answered.
  if (isRekeyError(error, 'ERR_UNAVAILABLE'))
    return error.cause instanceof AwsServiceError ? answered(error.cause) : 'no-answer';
  return error instanceof AwsServiceError ? answered(error) : 'unexpected';
}

function answered({ name, message, status }: AwsServiceError): Trouble {
  switch (name) {
    case 'ResourceNotFoundException':
    case 'StateMachineDoesNotExist':
    case 'NoSuchKey':
      return 'absent';
    case 'AccessDeniedException':
    case 'AccessDenied':
      return KEY.test(message) ? 'key-denied' : 'denied';
    case 'DecryptionFailure':
      return 'key-unusable';
    case 'InvalidRequestException':
      return KEY.test(message) ? 'key-unusable' : /delet/i.test(message) ? 'deleted' : 'unexpected';
    default:
      if (status >= 500) return name === 'SlowDown' ? 'throttled' : 'no-answer';
      return /Throttl|TooManyRequests|RequestLimitExceeded|ThroughputExceeded/.test(name)
        ? 'throttled'
        : 'unexpected';
  }
}
