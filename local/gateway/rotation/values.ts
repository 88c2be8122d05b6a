import { recordsOf, stringsOf, textOf } from '../../json.ts';
import { errorAnswer, jsonAnswer, type WireAnswer } from '../wire.ts';
import type { SecretState, StoredVersion, Vault } from './vault.ts';

type Input = Readonly<Record<string, unknown>>;
/** Lets MiniStack answer the caller's own request. */
export type Forward = () => Promise<WireAnswer>;

/** GetSecretValue: an empty version has no value to find, and a version must carry the label that is asked for. */
export async function getSecretValue(input: Input, forward: Forward): Promise<WireAnswer> {
  const answer = await forward();
  if (answer.status !== 200) return answer;
  const found = parse(answer);
  const stage = input['VersionStage'];
  const version = input['VersionId'];
  if (typeof version === 'string' && typeof stage === 'string') {
    const stages = stringsOf(found['VersionStages']);
    const message = 'You provided a VersionStage that is not associated to the provided VersionId.';
    if (!stages.includes(stage)) return errorAnswer('InvalidRequestException', message);
  }
  if (found['SecretString'] !== undefined || found['SecretBinary'] !== undefined) return answer;
  const what =
    typeof version === 'string' ? `VersionId: ${version}` : `staging label: ${textOf(stage) ?? 'AWSCURRENT'}`;
  return errorAnswer(
    'ResourceNotFoundException',
    `Secrets Manager can't find the specified secret value for ${what}`,
  );
}

/** PutSecretValue: fills an empty version, is idempotent by token, and moves labels from the version that had them. */
export async function putSecretValue(
  vault: Vault,
  secret: SecretState,
  input: Input,
  forward: Forward,
): Promise<WireAnswer> {
  if (input['SecretString'] === undefined && input['SecretBinary'] === undefined) {
    return errorAnswer('InvalidParameterException', 'You must provide either SecretString or SecretBinary.');
  }
  const token = input['ClientRequestToken'];
  if (typeof token === 'string' && !secret.deleted) {
    const existing = await vault.version(secret.arn, token);
    if (existing?.value !== undefined) return repeated(secret, token, existing, input);
  }
  const answer = await forward();
  if (answer.status !== 200) return answer;
  const { VersionId: version, VersionStages: stages } = parse(answer);
  for (const stage of stringsOf(stages)) {
    if (stage !== 'AWSCURRENT' && stage !== 'AWSPREVIOUS')
      await vault.claimLabel(secret.arn, stage, String(version));
  }
  return answer;
}

/** A token that was used before: the same value is success without effect, another is refused. */
function repeated(secret: SecretState, token: string, existing: StoredVersion, input: Input): WireAnswer {
  if (existing.value?.string !== input['SecretString'] || existing.value?.binary !== input['SecretBinary']) {
    const message =
      `You can't use ClientRequestToken ${token} because that value is already in use ` +
      `for a version of secret ${secret.arn}.`;
    return errorAnswer('ResourceExistsException', message);
  }
  return jsonAnswer(200, {
    ARN: secret.arn,
    Name: secret.name,
    VersionId: token,
    VersionStages: existing.stages,
  });
}

interface Created {
  readonly ARN: string;
  readonly Name: string;
  readonly VersionId: string;
}

/** CreateSecret: the version is named by the caller's token; a secret made without a value has no version. */
export async function createSecret(vault: Vault, input: Input, forward: Forward): Promise<WireAnswer> {
  const answer = await forward();
  const token = textOf(input['ClientRequestToken']) ?? crypto.randomUUID();
  const { SecretString: string, SecretBinary: binary } = input;
  if (answer.status !== 200) {
    return parse(answer)['__type'] === 'ResourceExistsException'
      ? ((await sameCreation(vault, input, token)) ?? answer)
      : answer;
  }
  const { ARN: arn, Name: name, VersionId: made }: Created = JSON.parse(answer.body.toString('utf8'));
  if (string === undefined && binary === undefined) {
    await vault.dropLabel(arn, 'AWSCURRENT', made);
    return jsonAnswer(200, { ARN: arn, Name: name });
  }
  // MiniStack names the version by itself; a second one under the caller's token takes its place.
  await vault.call('PutSecretValue', {
    SecretId: arn,
    ClientRequestToken: token,
    SecretString: string,
    SecretBinary: binary,
  });
  await vault.dropLabel(arn, 'AWSPREVIOUS', made);
  return jsonAnswer(200, { ARN: arn, Name: name, VersionId: token });
}

async function sameCreation(vault: Vault, input: Input, token: string): Promise<WireAnswer | undefined> {
  const existing = await vault.version(String(input['Name']), token);
  if (existing?.value === undefined) return undefined;
  const same =
    existing.value.string === input['SecretString'] && existing.value.binary === input['SecretBinary'];
  if (!same) return undefined;
  const { arn, name } = await vault.describe(String(input['Name']));
  return jsonAnswer(200, { ARN: arn, Name: name, VersionId: token });
}

/** UpdateSecretVersionStage: AWSCURRENT can be moved but never taken away. */
export function refuseDroppingCurrent(input: Input): WireAnswer | undefined {
  if (input['VersionStage'] !== 'AWSCURRENT' || input['MoveToVersionId'] !== undefined) return undefined;
  return errorAnswer(
    'InvalidParameterException',
    "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
  );
}

/** ListSecretVersionIds: versions without a label are shown only on demand. */
export async function listVersions(input: Input, forward: Forward): Promise<WireAnswer> {
  const answer = await forward();
  if (answer.status !== 200 || input['IncludeDeprecated'] === true) return answer;
  const listed = parse(answer);
  const versions = recordsOf(listed['Versions']).filter(
    (each) => stringsOf(each['VersionStages']).length > 0,
  );
  return jsonAnswer(200, {
    ...listed,
    Versions: versions,
  });
}

/** The JSON of an answer of MiniStack. */
export function parse(answer: WireAnswer): Record<string, unknown> {
  return JSON.parse(answer.body.toString('utf8'));
}
