import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { CredentialError } from './errors.ts';
import type { Stage, Vault, VaultVersion } from './vault.ts';

const STAGES: ReadonlySet<string> = new Set<Stage>(['AWSCURRENT', 'AWSPENDING', 'AWSPREVIOUS']);
/** Versions share these lists: most have one label. */
const SINGLE: Readonly<Record<Stage, readonly Stage[]>> = {
  AWSCURRENT: ['AWSCURRENT'],
  AWSPENDING: ['AWSPENDING'],
  AWSPREVIOUS: ['AWSPREVIOUS'],
};
const DENIED =
  /^(AccessDenied|DecryptionFailure|UnrecognizedClient|InvalidClientTokenId|ExpiredToken|Signature)/;

/** AWS Secrets Manager as a vault. The caller needs `secretsmanager:GetSecretValue`, and `kms:Decrypt` on its key. */
export function secretsManagerVault(client: Pick<SecretsManagerClient, 'send'>): Vault {
  return {
    read: async (secretId, stage, signal) => {
      try {
        const answer = await client.send(
          new GetSecretValueCommand({ SecretId: secretId, VersionStage: stage }),
          { abortSignal: signal },
        );
        return version(answer);
      } catch (error) {
        // Only this means absent: denied access and throttling never do.
        if (nameOf(error) === 'ResourceNotFoundException') return undefined;
        if (DENIED.test(nameOf(error))) throw denied(secretId, error);
        throw error;
      }
    },
  };
}

interface Answer {
  readonly VersionId?: string | undefined;
  readonly VersionStages?: string[] | undefined;
  readonly CreatedDate?: Date | undefined;
  readonly SecretString?: string | undefined;
}

function version({ VersionId, VersionStages, CreatedDate, SecretString }: Answer): VaultVersion {
  if (VersionId === undefined || SecretString === undefined || CreatedDate === undefined) {
    throw new CredentialError('ERR_VALUE', 'the secret has no text', {
      remedy: 'store the value as SecretString; binary values are not read',
    });
  }
  const stages = (VersionStages ?? []).filter((stage): stage is Stage => STAGES.has(stage));
  const [only] = stages;
  return {
    versionId: VersionId,
    stages: only !== undefined && stages.length === 1 ? SINGLE[only] : stages,
    createdAt: CreatedDate.getTime(),
    value: SecretString,
  };
}

function denied(secretId: string, cause: unknown): CredentialError {
  return new CredentialError('ERR_DENIED', `Secrets Manager refuses to let this caller read ${secretId}`, {
    remedy:
      "allow secretsmanager:GetSecretValue on the secret and kms:Decrypt on its key to the agent's role",
    cause,
  });
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}
