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
