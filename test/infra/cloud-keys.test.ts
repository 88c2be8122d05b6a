import { runSimulation } from '@cloud-copilot/iam-simulate';
import { describe, expect, it } from 'vitest';
import { localAccountId } from '../../local/settings.ts';
import {
  cutUserSessions,
  endAccessKeys,
  endBedrockKeys,
  lookAtAccessKeys,
  lookAtBedrockKeys,
  makeAccessKeys,
  makeBedrockKeys,
  type Grant,
} from '../../infra/permissions.ts';
import { TAG } from '../../shared/names.ts';

const TAGGED = { [`aws:ResourceTag/${TAG.stage}`]: 'prod' };

/** Whether IAM allows it to a role with these grants. */
async function allows(
  grants: readonly Grant[],
  action: string,
  contextVariables: Record<string, string | string[]> = TAGGED,
): Promise<boolean> {
  const Statement = grants.map(({ actions, conditions }) => ({
    Effect: 'Allow',
    Action: actions,
    Resource: `arn:aws:iam::${localAccountId}:user/*`,
    ...(conditions === undefined ? {} : { Condition: conditions }),
  }));
  const answer = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${localAccountId}:role/rekey`,
        action: `iam:${action}`,
        resource: { resource: `arn:aws:iam::${localAccountId}:user/agents/shop`, accountId: localAccountId },
        contextVariables,
      },
      identityPolicies: [{ name: 'role', policy: { Version: '2012-10-17', Statement } }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  );
  if (answer.resultType === 'error') throw new Error(JSON.stringify(answer.errors));
  return answer.overallResult === 'Allowed';
}

describe('grants for access keys', () => {
  const all = [
    ['looking', lookAtAccessKeys('prod'), ['ListAccessKeys']],
    ['ending', endAccessKeys('prod'), ['UpdateAccessKey', 'DeleteAccessKey']],
    ['making', makeAccessKeys('prod'), ['CreateAccessKey', 'UpdateAccessKey', 'DeleteAccessKey']],
    ['cutting', cutUserSessions('prod'), ['ListUserPolicies', 'PutUserPolicy', 'DeleteUserPolicy']],
  ] as const;

  it.each(all)(
    'allow %s at a user that carries the tag of the deployment, and at no other',
    async (_name, grants, actions) => {
      for (const action of actions) {
        expect(await allows(grants, action)).toBe(true);
        expect(await allows(grants, action, {})).toBe(false);
        expect(await allows(grants, action, { [`aws:ResourceTag/${TAG.stage}`]: 'dev' })).toBe(false);
      }
    },
  );

  it.each(['TagUser', 'UntagUser'])(
    'allow %s of what Rekey remembers, and never of the consent',
    async (action) => {
      const asks = async (...tags: string[]) =>
        allows(makeAccessKeys('prod'), action, { ...TAGGED, 'aws:TagKeys': tags });
      expect(await asks('rekey:key:AKIAIOSFODNN7EXAMPLE', 'rekey:intent')).toBe(true);
      expect(await asks('rekey:intent', TAG.stage)).toBe(false);
      expect(await asks('team')).toBe(false);
      expect(await allows(makeAccessKeys('prod'), action)).toBe(false);
    },
  );

  it('let nobody who only ends keys make one, and nobody but the emergency write a policy', async () => {
    expect(await allows(endAccessKeys('prod'), 'CreateAccessKey')).toBe(false);
    for (const grants of [lookAtAccessKeys('prod'), endAccessKeys('prod'), makeAccessKeys('prod')])
      expect(await allows(grants, 'PutUserPolicy')).toBe(false);
  });
});

describe('grants for keys for Bedrock', () => {
  const SERVICE = 'iam:ServiceSpecificCredentialServiceName';
  const UNTAGGED = { [SERVICE]: 'bedrock.amazonaws.com' };
  const FOR_BEDROCK = { ...TAGGED, ...UNTAGGED };

  it.each([
    ['looking', lookAtBedrockKeys('prod'), ['ListServiceSpecificCredentials']],
    [
      'ending',
      endBedrockKeys('prod'),
      ['UpdateServiceSpecificCredential', 'DeleteServiceSpecificCredential'],
    ],
    ['making', makeBedrockKeys('prod'), ['CreateServiceSpecificCredential']],
  ] as const)(
    'allow %s at a user that carries the tag of the deployment, and at no other',
    async (_name, grants, actions) => {
      for (const action of actions) {
        expect(await allows(grants, action, FOR_BEDROCK)).toBe(true);
        expect(await allows(grants, action, UNTAGGED)).toBe(false);
      }
    },
  );

  it('make none for another service, reset none, and leave access keys alone', async () => {
    const grants = [...lookAtBedrockKeys('prod'), ...makeBedrockKeys('prod')];
    const other = { ...TAGGED, [SERVICE]: 'codecommit.amazonaws.com' };
    expect(await allows(grants, 'CreateServiceSpecificCredential', other)).toBe(false);
    for (const action of [
      'ResetServiceSpecificCredential',
      'CreateAccessKey',
      'UpdateAccessKey',
      'PutUserPolicy',
    ])
      expect(await allows(grants, action, FOR_BEDROCK)).toBe(false);
    expect(await allows(endBedrockKeys('prod'), 'CreateServiceSpecificCredential', FOR_BEDROCK)).toBe(false);
  });

  it.each(['TagUser', 'UntagUser'])('allow %s of their own marks alone', async (action) => {
    const asks = async (...tags: string[]) =>
      allows(makeBedrockKeys('prod'), action, { ...TAGGED, 'aws:TagKeys': tags });
    expect(await asks('rekey:bedrock-key:ACCAEXAMPLE', 'rekey:bedrock-intent')).toBe(true);
    expect(await asks('rekey:intent')).toBe(false);
    expect(await asks('rekey:bedrock-intent', TAG.stage)).toBe(false);
  });
});
