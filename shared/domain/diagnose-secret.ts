import { backstopDays } from './calendar.ts';
import { fromInstant } from './clock.ts';
import type { Credential, Key } from './credential.ts';
import { bad, ok, passing, refusal, type Check, type Seen, type Trouble } from './diagnosis.ts';
import type { ErrorJson } from './errors.ts';
import { TAG } from '../names.ts';
import { keyCheck, WHO } from './diagnose-access.ts';
import type { Rotation } from './rotation.ts';

/** A secret without its value, as far as a diagnosis asks. */
export interface DescribedSecret {
  readonly name: string;
  readonly versions: Readonly<Record<string, readonly string[]>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly kmsKey?: string;
  readonly rotationEnabled: boolean;
  readonly rotationFunction?: string;
  readonly rotatesEveryDays?: number;
  readonly deleted?: boolean;
}

/** What AWSCURRENT holds: never the value. */
export type CurrentValue = { readonly fingerprint: string } | { readonly fault: ErrorJson };

/** What the functions that work with a secret of agents saw of it. */
export interface SecretLook {
  readonly described: Seen<DescribedSecret>;
  readonly current: Seen<CurrentValue | undefined>;
}

/** What a deployment gives its secrets. */
export interface Expected {
  readonly stage: string;
  readonly rotationFunction: string;
  readonly secretsKey?: string;
}

/** Everything about the secret that agents read. */
export function secretChecks(
  credential: Credential,
  rotation: Rotation | undefined,
  expected: Expected,
  { described, current }: SecretLook,
  now: number,
): Check[] {
  if ('trouble' in described) return [undescribed(credential, described.trouble)];
  const secret = described.value;
  if (secret.deleted === true) return [undescribed(credential, 'deleted')];
  const untagged = missingTags(credential, expected, secret);
  return [
    ok('secret', 'exists', secret.name),
    tagsCheck(credential, expected, secret, untagged),
    ...valueChecks(credential, rotation, expected, secret, current, untagged.length > 0),
    labelsCheck(credential, secret, now),
    scheduleCheck(credential, expected, secret),
  ];
}

function undescribed({ secretName, name, adoption }: Credential, trouble: Trouble): Check {
  const fail = (detail: string, remedy: string): Check => bad('fail', 'secret', 'exists', detail, remedy);
  switch (trouble) {
    case 'absent':
      return fail(
        `there is no secret ${secretName}: agents have nothing to read`,
        adoption === 'observed'
          ? 'correct its name in the declaration, under another name of the credential'
          : `it was deleted for good; its login still works: rekey revoke ${name} --no-replace ends it, then declare a new credential`,
      );
    case 'deleted':
      return fail(
        `the secret ${secretName} is scheduled for deletion: agents have nothing to read`,
        `aws secretsmanager restore-secret --secret-id ${secretName}`,
      );
    case 'throttled':
    case 'no-answer':
    case 'unexpected':
      return passing('secret', 'exists', trouble, WHO);
    case 'denied':
    case 'key-denied':
    case 'key-unusable':
      return fail(
        `Rekey may not describe the secret ${secretName}`,
        'its name is below neither secretPrefix nor adoptPrefixes of the settings: add its prefix to adoptPrefixes and ' +
          'deploy; where it is, look for a deny in the policy of the secret or of the organisation',
      );
  }
}

function missingTags(
  { type, id, adoption }: Credential,
  { stage }: Expected,
  secret: DescribedSecret,
): (readonly [string, string])[] {
  const wanted: (readonly [string, string])[] = [
    [TAG.type, type],
    [TAG.stage, stage],
    // What is only observed, or being taken over, isn't marked as Rekey's own yet.
    ...(adoption === undefined || adoption === 'adopted' ? [[TAG.credential, id] as const] : []),
  ];
  return wanted.filter(([key, value]) => secret.tags[key] !== value);
}

function tagsCheck(
  { adoption }: Credential,
  { stage }: Expected,
  { name }: DescribedSecret,
  missing: readonly (readonly [string, string])[],
): Check {
  if (missing.length === 0) return ok('secret', 'tags', `tagged for the stage ${stage}`);
  const pairs = missing.map(([key, value]) => `Key=${key},Value=${value}`).join(' ');
  return bad(
    adoption === 'observed' ? 'warn' : 'fail',
    'secret',
    'tags',
    `not tagged for this deployment: ${missing.map(([key]) => key).join(', ')}`,
    `${adoption === 'observed' ? 'before it leaves mode observe, its owner consents by' : 'its owner gives the tags back by'}: ` +
      `aws secretsmanager tag-resource --secret-id ${name} --tags ${pairs}`,
  );
}

function valueChecks(
  credential: Credential,
  rotation: Rotation | undefined,
  expected: Expected,
  secret: DescribedSecret,
  current: Seen<CurrentValue | undefined>,
  untagged: boolean,
): Check[] {
  if ('trouble' in current) return [unread(credential, expected, secret, current.trouble, untagged)];
  const { value } = current;
  if (value === undefined) {
    return [
      bad(
        'fail',
        'secret',
        'readable',
        'no version with text is labelled AWSCURRENT: agents have nothing to read',
        `put the label back: aws secretsmanager update-secret-version-stage --secret-id ${secret.name} --version-stage AWSCURRENT --move-to-version-id ${credential.current?.versionId ?? '<version>'}`,
      ),
    ];
  }
  const readable = ok('secret', 'readable', 'with the rights of the functions that rotate it');
  if ('fault' in value) return [readable, refusal('secret', 'value', value.fault)];
  return [readable, fingerprintCheck(credential, rotation, secret, value.fingerprint)];
}

function unread(
  { adoption }: Credential,
  expected: Expected,
  { name, kmsKey }: DescribedSecret,
  trouble: Trouble,
  untagged: boolean,
): Check {
  if (trouble === 'throttled' || trouble === 'no-answer' || trouble === 'unexpected')
    return passing('secret', 'readable', trouble, WHO);
  if (trouble === 'key-denied' || trouble === 'key-unusable') {
    const own = kmsKey !== undefined && sameKey(kmsKey, expected.secretsKey);
    return keyCheck('secret', trouble, kmsKey, {
      denied: own
        ? `it is Rekey's own: deploy the stack rekey-${expected.stage}-state again, which restores its policy`
        : 'add its ARN to the setting adoptKeyArns and deploy',
    });
  }
  if (untagged) {
    return bad(
      adoption === 'observed' ? 'warn' : 'not-checked',
      'secret',
      'readable',
      'unread: roles reach a secret by its tags only',
      'tag it as said above',
    );
  }
  return bad(
    'fail',
    'secret',
    'readable',
    'Rekey may not read its value, although it is tagged',
    `look for a deny: aws secretsmanager get-resource-policy --secret-id ${name}; then in the policies of the organisation, and of the VPC endpoint`,
  );
}

/** By the id at their ends: one may be an ARN, the other an id. */
function sameKey(one: string, other: string | undefined): boolean {
  return other !== undefined && one.split('/').at(-1) === other.split('/').at(-1);
}

/** Holds AWSCURRENT against what the ledger has handed out, also in the middle of a rotation. */
function fingerprintCheck(
  { current, adoption, name }: Credential,
  rotation: Rotation | undefined,
  secret: DescribedSecret,
  fingerprint: string,
): Check {
  const about = 'value';
  const known = [current, rotation?.next, rotation?.old].filter((key): key is Key => key !== undefined);
  // Before the end of a registration, and after a revocation: agents are halted then.
  if (known.length === 0) return ok('secret', about, 'the ledger knows none to hold it against');
  const version = currentVersion(secret);
  const key = known.find(({ versionId }) => versionId === version);
  if (key?.fingerprint === fingerprint) return ok('secret', about, `the one of the ledger (${fingerprint})`);
  if (adoption === 'observed')
    return ok('secret', about, 'changed since it was registered, as mode observe allows');
  const theirs = current === undefined ? undefined : secret.versions[current.versionId];
  return bad(
    'fail',
    'secret',
    about,
    `somebody else has changed it: AWSCURRENT is ${version ?? 'nowhere'}, the ledger knows ${current?.versionId ?? 'none'}`,
    theirs === undefined || current === undefined
      ? `put a value that logs in back, then: rekey rotate ${name}; if it may have leaked: rekey revoke ${name}`
      : `put Rekey's version back: aws secretsmanager update-secret-version-stage --secret-id ${secret.name} --version-stage AWSCURRENT --move-to-version-id ${current.versionId} --remove-from-version-id ${version ?? ''}`,
  );
}

function currentVersion({ versions }: DescribedSecret): string | undefined {
  return Object.entries(versions).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0];
}

/** Secrets Manager labels a copy of the current version for as long as it tests a new schedule. */
const TEST_MS = 2 * 60_000;

/** A leftover AWSPENDING blocks every later rotation; on the current version it is harmless (traps). */
function labelsCheck(
  { activeRotation, name, updatedAt }: Credential,
  { name: secret, versions }: DescribedSecret,
  now: number,
): Check {
  const dangling = Object.entries(versions).find(
    ([version, stages]) =>
      stages.includes('AWSPENDING') && !stages.includes('AWSCURRENT') && version !== activeRotation,
  )?.[0];
  if (dangling === undefined) return ok('secret', 'labels', 'no AWSPENDING is left behind');
  const detail = `AWSPENDING is on version ${dangling}, which belongs to no rotation under way`;
  if (now - fromInstant(updatedAt) < TEST_MS)
    return bad(
      'warn',
      'secret',
      'labels',
      detail,
      'look again in two minutes: it may be a test of Secrets Manager',
    );
  return bad(
    'fail',
    'secret',
    'labels',
    detail,
    `rekey rotate ${name} takes it off first; or: aws secretsmanager update-secret-version-stage --secret-id ${secret} --version-stage AWSPENDING --remove-from-version-id ${dangling}`,
  );
}

/** Whether Secrets Manager calls the right function, by the schedule that stands behind the planner. */
function scheduleCheck(
  credential: Credential,
  { rotationFunction }: Expected,
  secret: DescribedSecret,
): Check {
  const about = 'schedule';
  const { adoption, paused } = credential;
  const foreign = secret.rotationFunction !== rotationFunction;
  if (adoption === 'observed' || adoption === 'intended') {
    return secret.rotationEnabled && foreign
      ? bad(
          'warn',
          'secret',
          about,
          `it is rotated by ${secret.rotationFunction ?? 'somebody else'}`,
          `before it leaves mode observe: aws secretsmanager cancel-rotate-secret --secret-id ${secret.name}`,
        )
      : ok('secret', about, 'nobody rotates it');
  }
  const days = backstopDays(credential);
  const mend =
    `aws secretsmanager rotate-secret --secret-id ${secret.name} --rotation-lambda-arn ${rotationFunction} ` +
    `--rotation-rules AutomaticallyAfterDays=${days} --no-rotate-immediately`;
  const fail = (detail: string): Check => bad('fail', 'secret', about, detail, mend);
  if (paused !== undefined) {
    return secret.rotationEnabled && foreign
      ? fail(`it is rotated by ${secret.rotationFunction ?? 'somebody else'}, although it is paused`)
      : ok('secret', about, 'paused');
  }
  if (!secret.rotationEnabled) return fail('its rotation was cancelled: Rekey can not rotate it');
  if (foreign)
    return fail(`it is rotated by ${secret.rotationFunction ?? 'somebody else'}, not by this deployment`);
  if (secret.rotatesEveryDays !== days) {
    return fail(
      `the schedule behind the planner is ${secret.rotatesEveryDays === undefined ? 'not in days' : `every ${secret.rotatesEveryDays} days`}, the policy wants ${days}`,
    );
  }
  return ok('secret', about, `every ${days} days, behind the planner`);
}
