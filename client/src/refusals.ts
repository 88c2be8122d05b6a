import { CredentialError } from './errors.ts';

/** What a source says when it gives nothing, or doesn't take something. */

export function closedSource(secretId: string): CredentialError {
  return new CredentialError('ERR_CLOSED', `the source of ${secretId} is closed`);
}

export function halted(reason: string): CredentialError {
  return new CredentialError('ERR_HALTED', `the agent was told to stop: ${reason}`);
}

export function pastLimit(secretId: string): CredentialError {
  return new CredentialError('ERR_STALE', `the value of ${secretId} is past its limit`, {
    remedy: 'the vault could not be read in time: refreshFailed says why',
  });
}

export function lateVault(ms: number): CredentialError {
  return new CredentialError('ERR_TIMEOUT', `the vault has not answered in ${ms / 1000} s`);
}

export function noFirstValue(secretId: string, ms: number): CredentialError {
  return new CredentialError('ERR_TIMEOUT', `no value of ${secretId} after ${ms / 1000} s`, {
    remedy: 'a listener of refreshFailed, given as option "on", hears of each try',
  });
}

export function noValue(secretId: string): CredentialError {
  return new CredentialError('ERR_NOT_FOUND', `the vault has no current value of ${secretId}`, {
    remedy: 'name an existing secret, or give it a value',
  });
}

export function givenUp(versionId: string): CredentialError {
  return new CredentialError('ERR_TOMBSTONED', `version ${versionId} was given up`);
}

/** Without the cause: what a check says may quote the value. */
export function unusable(versionId: string): CredentialError {
  return new CredentialError('ERR_VALUE', `version ${versionId} doesn't pass the check of its value`);
}
