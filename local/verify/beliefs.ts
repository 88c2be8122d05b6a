/** Something about Secrets Manager that the engine rests on. */
export interface Belief {
  readonly sentence: string;
  /** Where AWS says so; absent where it is only seen to be so. */
  readonly page?: string;
}

const api = (operation: string): string =>
  `https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_${operation}.html`;
const guide = (page: string): string =>
  `https://docs.aws.amazon.com/secretsmanager/latest/userguide/${page}.html`;

/** What `npm run verify:aws` asks AWS, and a test the local gateway, by the scenario that looks (hard decision 16). */
export const BELIEFS = {
  'create-again': {
    sentence:
      'CreateSecret with the same token and text again is success; with another text it is ResourceExistsException',
    page: api('CreateSecret'),
  },
  'put-same-text': {
    sentence: 'PutSecretValue with the same token and text again is success and changes nothing',
    page: api('PutSecretValue'),
  },
  'put-other-text': {
    sentence:
      'PutSecretValue with the same token and another text is ResourceExistsException and changes nothing',
    page: api('PutSecretValue'),
  },
  'put-current': {
    sentence: 'PutSecretValue without labels makes its version AWSCURRENT and the one before AWSPREVIOUS',
    page: api('PutSecretValue'),
  },
  'put-takes-label': {
    sentence: 'PutSecretValue with a label takes that label from the version that had it',
    page: api('PutSecretValue'),
  },

  'move-names-holder': {
    sentence:
      'UpdateSecretVersionStage moves a label only where RemoveFromVersionId names the version that has it; else InvalidParameterException',
    page: api('UpdateSecretVersionStage'),
  },
  'move-current': {
    sentence: 'Moving AWSCURRENT makes the version that had it AWSPREVIOUS',
    page: api('UpdateSecretVersionStage'),
  },
  'keep-current': {
    sentence: 'AWSCURRENT can be moved but not taken away: InvalidParameterException',
    page: api('UpdateSecretVersionStage'),
  },
  'strip-pending': {
    sentence: 'Taking AWSPENDING off a version leaves every other label where it is',
    page: api('UpdateSecretVersionStage'),
  },
  'label-by-policy': {
    sentence:
      'A role that a condition on secretsmanager:VersionStage holds to AWSPENDING may take that label off, and not move AWSCURRENT',
    page: 'https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html',
  },

  'get-other-label': {
    sentence:
      'GetSecretValue of a version under a label that it does not carry is InvalidRequestException or ResourceNotFoundException',
    page: api('GetSecretValue'),
  },
  'get-unknown-version': {
    sentence: 'GetSecretValue of a version that never was is ResourceNotFoundException',
    page: api('GetSecretValue'),
  },
  'get-dates-version': {
    sentence: 'GetSecretValue gives the time at which that version was stored, wherever its labels go',
    page: api('GetSecretValue'),
  },
  'never-existed': {
    sentence:
      'DescribeSecret, GetSecretValue and RotateSecret of a secret that never was are ResourceNotFoundException',
    page: api('DescribeSecret'),
  },
  deleted: {
    sentence:
      'A secret marked for deletion is described with its DeletedDate; GetSecretValue and RotateSecret are InvalidRequestException',
    page: api('DeleteSecret'),
  },

  'rotate-answers-first': {
    sentence: 'RotateSecret answers with the token as VersionId before the first step has ended',
    page: api('RotateSecret'),
  },
  'pending-is-empty': {
    sentence:
      'At createSecret the version of the token carries AWSPENDING and has no value: GetSecretValue is ResourceNotFoundException',
    page: guide('rotate-secrets_lambda-functions'),
  },
  'four-steps': {
    sentence:
      'RotateSecret calls createSecret, setSecret, testSecret, finishSecret once each, with the token',
    page: guide('rotate-secrets_lambda-functions'),
  },
  'under-way-same-token': {
    sentence:
      'RotateSecret with the token of the rotation under way is accepted and starts nothing beside it',
    page: api('RotateSecret'),
  },
  'under-way-other-token': {
    sentence:
      'RotateSecret with another token while a rotation is under way is InvalidRequestException; the one under way ends well',
    page: api('RotateSecret'),
  },
  'finished-token': {
    sentence: 'RotateSecret with the token of the current version is accepted and calls no step',
    page: api('RotateSecret'),
  },
  'pending-may-stay': {
    sentence: 'AWSPENDING left on the version that became AWSCURRENT does not hinder the next rotation',
    page: api('RotateSecret'),
  },

  'test-only': {
    sentence:
      'RotateSecret with RotateImmediately=false calls testSecret only, on a pending version of its own that goes away; AWSCURRENT stays',
    page: api('RotateSecret'),
  },
  'test-only-schedules': {
    sentence: 'RotateSecret with RotateImmediately=false turns rotation on and does not count as a rotation',
    page: api('DescribeSecret'),
  },

  'failure-leaves-pending': {
    sentence: 'A step that fails leaves AWSPENDING on the version of the token, and AWSCURRENT where it was',
    page: api('RotateSecret'),
  },
  'failure-is-retried': {
    sentence:
      'After a step that failed the steps come again by themselves from createSecret, with the old token',
  },
  'leftover-refuses': {
    sentence:
      'RotateSecret with another token is InvalidRequestException while AWSPENDING is on a version that is not current',
    page: api('RotateSecret'),
  },
  'leftover-is-reattempted': {
    sentence: 'The rotation of the leftover AWSPENDING is tried again with its own token, to its end',
    page: guide('troubleshoot_rotation'),
  },
  'stripped-is-free': {
    sentence:
      'Once a leftover AWSPENDING is taken off, RotateSecret with another token is accepted and ends well',
    page: api('CancelRotateSecret'),
  },

  'cancel-stops': {
    sentence: 'CancelRotateSecret turns rotation off, and no step follows the one under way',
    page: api('CancelRotateSecret'),
  },
  'cancel-leaves-labels': {
    sentence: 'CancelRotateSecret in the middle leaves AWSPENDING where it was',
    page: api('CancelRotateSecret'),
  },
} as const satisfies Readonly<Record<string, Belief>>;

/** Name of a belief. */
export type BeliefId = keyof typeof BELIEFS;

/** What became of a belief. */
export type Outcome = 'holds' | 'differs' | 'not observed in time';

/** A belief, held against what was seen. */
export interface Finding extends Belief {
  readonly id: BeliefId;
  readonly outcome: Outcome;
  /** What was seen, in words. */
  readonly seen: string;
}
