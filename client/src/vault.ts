import { CredentialError } from './errors.ts';

/** The labels that a vault moves from version to version. */
export type Stage = 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS';

/** One version of a secret, as the vault has it. */
export interface VaultVersion {
  readonly versionId: string;
  readonly stages: readonly Stage[];
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly value: string;
}

/** Where credentials are read from. `secretsManagerVault` is one; anything else that has these three labels can be. */
export interface Vault {
  /**
   * The version with the label; undefined where none has it, or where it has no value yet. `signal` aborts when nobody
   * waits for the answer any more.
   * @throws CredentialError ERR_DENIED where another try is pointless; anything else counts as an outage
   */
  read(secretId: string, stage: Stage, signal: AbortSignal): Promise<VaultVersion | undefined>;
}

/** What each field of a version must be: vaults are written by others, also without types. */
const FORM: Readonly<Record<keyof VaultVersion, (given: unknown) => boolean>> = {
  versionId: (given) => typeof given === 'string' && given !== '',
  value: (given) => typeof given === 'string',
  createdAt: (given) => Number.isFinite(given),
  stages: (given) => Array.isArray(given),
};

/** @throws CredentialError ERR_VALUE, naming the field, where a vault's answer has another form. It quotes nothing. */
export function assertVersion(found: VaultVersion): void {
  // Also what is no object has none of the fields.
  const given = Object(found) as VaultVersion;
  const field = (Object.keys(FORM) as (keyof VaultVersion)[]).find((name) => !FORM[name](given[name]));
  if (field === undefined) return;
  throw new CredentialError('ERR_VALUE', `what the vault's read gives has no usable "${field}"`, {
    field,
    remedy:
      'let it give versionId and value (texts), stages (a list of labels) and createdAt (milliseconds since 1970), or undefined where there is no such version',
  });
}
