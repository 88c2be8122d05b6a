import type { Credential } from './credential.ts';
import { bad, ok, passing, type Area, type Check, type Seen } from './diagnosis.ts';
import { TAG } from '../names.ts';

/** Who looks: the role that registers reads and logs in as those that rotate do (a test holds the two equal). */
export const WHO = { who: 'register-database', service: 'Secrets Manager' };

/** A key that may not be used, or can't be. */
export function keyCheck(
  area: Area,
  trouble: 'key-denied' | 'key-unusable',
  kmsKey: string | undefined,
  remedy: { denied: string },
): Check {
  const key = kmsKey ?? 'that encrypts it';
  return trouble === 'key-denied'
    ? bad(
        'fail',
        area,
        'readable',
        `Rekey may not use the KMS key ${key}`,
        `${remedy.denied}; where that is so, the policy of the key must let this account's IAM allow kms:Decrypt`,
      )
    : bad(
        'fail',
        area,
        'readable',
        `the KMS key ${key} is disabled or about to be deleted`,
        `aws kms enable-key --key-id ${kmsKey ?? '<key>'}, after aws kms cancel-key-deletion where its deletion is scheduled`,
      );
}

/** What the account's list of secrets says of one: undefined where it has none of that name. */
export type Listed = Seen<
  { readonly tags: Readonly<Record<string, string>>; readonly kmsKey?: string } | undefined
>;

/**
 * Everything about the administrative secret. Roles may read it by its tag only, so that one which is missing or untagged
 * shows as a denial: `listed` tells these apart.
 */
export function adminCheck(
  { adminSecret, type, adoption }: Credential,
  read: Seen<true>,
  listed: Listed,
): Check {
  const area = 'administrator';
  if (adminSecret === undefined) {
    return bad(
      adoption === 'observed' ? 'warn' : 'fail',
      area,
      'declared',
      'no administrative login is declared',
      'name the secret that holds it as admin, and apply: only mode observe does without',
    );
  }
  if ('value' in read) return ok(area, 'readable', adminSecret);
  const { trouble } = read;
  const found = 'value' in listed ? listed.value : undefined;
  const tag = `Key=${TAG.admin},Value=${type}`;
  const fail = (name: string, detail: string, remedy: string): Check =>
    bad('fail', area, name, detail, remedy);
  switch (trouble) {
    case 'throttled':
    case 'no-answer':
    case 'unexpected':
      return passing(area, 'readable', trouble, WHO);
    case 'key-denied':
    case 'key-unusable':
      return keyCheck(area, trouble, found?.kmsKey, {
        denied: 'add its ARN to the setting adminSecretKeyArns and deploy',
      });
    case 'deleted':
      return fail(
        'exists',
        `${adminSecret} is scheduled for deletion`,
        `aws secretsmanager restore-secret --secret-id ${adminSecret}`,
      );
    case 'absent':
    case 'denied':
  }
  const tagIt = `aws secretsmanager tag-resource --secret-id ${adminSecret} --tags ${tag}`;
  if (trouble === 'absent' || ('value' in listed && listed.value === undefined)) {
    return fail(
      'exists',
      `there is no secret ${adminSecret}`,
      `aws secretsmanager create-secret --name ${adminSecret} --secret-string file://admin.json --tags ${tag}`,
    );
  }
  if (found === undefined)
    return fail(
      'readable',
      `Rekey may not read ${adminSecret}: it is missing or untagged`,
      `create it, or: ${tagIt}`,
    );
  if (found.tags[TAG.admin] !== type)
    return fail('tags', `${adminSecret} is not tagged ${TAG.admin}=${type}`, tagIt);
  return fail(
    'readable',
    `Rekey may not read ${adminSecret}, although it is tagged`,
    `look for a deny: aws secretsmanager get-resource-policy --secret-id ${adminSecret}; then in the policies of the organisation, and of the VPC endpoint`,
  );
}
