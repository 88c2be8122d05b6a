import {
  CREDENTIAL_TYPES,
  IDENTITY_TYPES,
  ROOT_TYPES,
  TYPED_ROLES,
  type CredentialType,
} from '../../shared/names.ts';

/** Grants that no call of the end-to-end runs has used, as their role and text in the failing test. */
export interface UnusedGrants {
  readonly reason: string;
  /** Whether it depends on time or chance that a run uses them: then a use is no fault. */
  readonly sometimes?: boolean;
  /** Texts of grants by role. */
  readonly grants: Readonly<Record<string, readonly string[]>>;
}

/** The same for another type, whose functions have the code of those of databases. */
function ofType({ reason, grants }: UnusedGrants, type: CredentialType): UnusedGrants {
  const own = Object.entries(grants).filter(([role]) => role.endsWith('-database'));
  // A root administers itself or another, and is neither made nor deleted by Rekey.
  const kept = (text: string): boolean => !ROOT_TYPES.includes(type) || !text.includes(':DeleteSecret');
  const admins = type === 'root' ? ROOTS : ADMINS;
  const renamed = own.map(([role, texts]) => [
    role.replace(/-database$/, `-${type}`),
    texts
      .filter(kept)
      // Nobody administers what Rekey itself issues.
      .filter((text) => !(IDENTITY_TYPES.includes(type) && text.includes('rekey:admin')))
      .map((text) => text.replace(ADMINS, admins).replace(/=database\b/, `=${type}`)),
  ]);
  return { reason, sometimes: true, grants: Object.fromEntries(renamed) };
}

const AGENTS = 'secretsmanager:secret:agents/* if rekey:type=database, rekey:stage=local';
const OF_ANY = `secretsmanager:secret:agents/* if rekey:type=${CREDENTIAL_TYPES.join('|')}, rekey:stage=local`;
const ADMINS = 'secretsmanager:secret:* if rekey:admin=database';
const ROOTS = 'secretsmanager:secret:* if rekey:type=root, rekey:stage=local';
const SERVICES = 'ecs:service/* if rekey:stage=local';
const FUNCTIONS = 'lambda:function:* if rekey:stage=local';
const LIFECYCLE = 'states:stateMachine:rekey-local-rotation-lifecycle';
const EMERGENCY = 'states:stateMachine:rekey-local-incident-emergency';
const EMERGENCIES = 'states:execution:rekey-local-incident-emergency:*';
const ASKS_AGENTS = 'dynamodb:Query on <Ledger> if dynamodb:LeadingKeys';
const FINDS_KEYS = ASKS_AGENTS;
const HOLDS_OTHERS = 'dynamodb:ConditionCheckItem on <Ledger> if dynamodb:LeadingKeys';
const COUNTS_SIGNALS = 'dynamodb:UpdateItem on <Ledger> if dynamodb:LeadingKeys';
const SEALS = 'kms:Encrypt on <DataKey> if kms:EncryptionContext:rekey:purpose';
const COLLECTS = [
  'dynamodb:GetItem on <Ledger> if dynamodb:LeadingKeys',
  'dynamodb:PutItem on <Ledger> if dynamodb:LeadingKeys',
  'kms:Decrypt on <DataKey> if via dynamodb',
  'dynamodb:Query on <Ledger>/index/byGroup',
  ASKS_AGENTS,
  'sqs:GetQueueAttributes on <UsesDeadLetters>',
  'sqs:GetQueueUrl on <UsesDeadLetters>',
];

const OF_DATABASES: readonly UnusedGrants[] = [
  {
    reason:
      'Where findings of a scanner are verified and live (test/unit/signals, test/integration/signals.int.test.ts).',
    grants: { 'control-api': [COUNTS_SIGNALS] },
  },
  {
    reason:
      'Where a start rests on a registered master (test/faults/planner.test.ts), and where an operator registers a pact that hands a credential to sub-agents.',
    sometimes: true,
    grants: {
      'plan-rotations': [HOLDS_OTHERS],
      'control-api': [HOLDS_OTHERS],
      'receive-signal': [HOLDS_OTHERS],
    },
  },
  {
    reason:
      'Tells a start of an emergency whose answer was lost from another one under its name (test/unit/adapters/step-functions-workflow.test.ts).',
    sometimes: true,
    grants: { 'receive-signal': [`states:DescribeExecution on ${EMERGENCIES}`] },
  },
  {
    reason:
      'Only where what a source has found is a token of a family (test/unit/signals/families.test.ts): no run has both.',
    sometimes: true,
    grants: { 'receive-signal': ['lambda:InvokeFunction on <RefreshFamiliesLive>'] },
  },
  {
    reason:
      'What a rotation that stood still has left: nothing stands still here. test/faults kills rotations at every step.',
    sometimes: true,
    grants: {
      'reconcile-database': [
        'dynamodb:GetItem on <Ledger>',
        'dynamodb:PutItem on <Ledger>',
        `secretsmanager:DescribeSecret on ${AGENTS}`,
        `secretsmanager:GetSecretValue on ${AGENTS}`,
        `secretsmanager:UpdateSecretVersionStage on ${AGENTS}`,
        'kms:Decrypt on <SecretsKey> if via secretsmanager',
        `secretsmanager:GetSecretValue on ${ADMINS}`,
        `states:SendTaskSuccess on ${LIFECYCLE}`,
        `states:StartExecution on ${LIFECYCLE}`,
      ],
    },
  },
  {
    reason:
      'Answers a state that asks too late: what it waits for was over before its token was written down. A race, which test/faults runs both ways.',
    sometimes: true,
    grants: {
      'begin-rotation': [`states:SendTaskSuccess on ${LIFECYCLE}`],
      'verify-database': [`states:SendTaskSuccess on ${LIFECYCLE}`],
      'record-emergency': [`states:SendTaskSuccess on ${LIFECYCLE}`],
    },
  },
  {
    reason:
      'Holders here poll, so nothing is looked at; test/faults/holders.test.ts looks at services and functions behind their protocols.',
    grants: {
      'check-holders': [
        'dynamodb:PutItem on <Ledger>',
        `ecs:DescribeServices on ${SERVICES}`,
        `ecs:UpdateService on ${SERVICES}`,
        'ecs:ListTasks on ecs:container-instance/*',
        'ecs:DescribeTasks on ecs:task/*',
        `lambda:GetAlias on ${FUNCTIONS}`,
        `lambda:GetFunctionConfiguration on ${FUNCTIONS}`,
        `lambda:ListVersionsByFunction on ${FUNCTIONS}`,
      ],
    },
  },
  {
    reason:
      'Of agents that acknowledge (holders of kind client): a run without them asks and seals nothing. test/faults/clients.test.ts has them.',
    sometimes: true,
    grants: {
      'rotate-database': [ASKS_AGENTS, SEALS],
      'begin-rotation': [ASKS_AGENTS, `states:StartExecution on ${LIFECYCLE}`],
      'verify-database': [ASKS_AGENTS],
      'retire-database': [ASKS_AGENTS],
      'rollback-database': [SEALS],
      'reconcile-database': [SEALS],
    },
  },
  {
    reason:
      'Takes AWSPENDING off what an aborted rotation has left, before the next one (test/faults/duplicates.test.ts).',
    grants: {
      'begin-rotation': [`secretsmanager:UpdateSecretVersionStage on ${OF_ANY}, secretsmanager:VersionStage`],
    },
  },
  {
    reason:
      'Brings a login back that was suspended before the rollback (test/faults/rollback.test.ts); here nobody asks that late.',
    sometimes: true,
    grants: { 'rollback-database': [`secretsmanager:GetSecretValue on ${ADMINS}`] },
  },
  {
    reason:
      'An emergency of more than 40 credentials is cut into executions of its own (npm run bench -- emergency-scale); the local stack runs them without these calls.',
    grants: {
      EmergencyMachine: [
        `states:StartExecution on ${EMERGENCY}`,
        `states:DescribeExecution on ${EMERGENCIES}`,
        `states:StopExecution on ${EMERGENCIES}`,
      ],
    },
  },
  {
    reason:
      'Undoes a registration that failed after it had made its secret (test/faults/registration.test.ts).',
    grants: {
      'register-database': [`secretsmanager:DeleteSecret on ${AGENTS}`],
    },
  },
  {
    reason:
      'Reading a secret of agents goes with describing it; this function may describe any below the prefix and has described none of its own.',
    sometimes: true,
    grants: { 'register-database': [`secretsmanager:DescribeSecret on ${AGENTS}`] },
  },
  {
    reason: 'Only while the ledger does not answer an emergency (test/faults/revocation.test.ts).',
    sometimes: true,
    grants: {
      'revoke-database': ['s3:GetObject on <Snapshots>/snapshots/*', 's3:PutObject on <Snapshots>/intents/*'],
      'record-emergency': ['s3:PutObject on <Snapshots>/intents/*'],
    },
  },
  {
    reason:
      'Only on a schedule, and once the ledger has not answered an emergency (test/faults/scale.test.ts).',
    sometimes: true,
    grants: {
      'record-emergency': [
        's3:ListBucket on <Snapshots> if s3:prefix',
        's3:GetObject on <Snapshots>/intents/*',
        's3:DeleteObject on <Snapshots>/intents/*',
        'dynamodb:Query on <Ledger>',
        'states:DescribeExecution on states:execution:rekey-local-incident-emergency:*',
      ],
    },
  },
  {
    reason: 'Only once somebody has changed or removed an audit record: nothing of Rekey does.',
    grants: { 'archive-audit': ['s3:PutObject on <Archive>/tampering/*'] },
  },
  {
    reason:
      'CDK grants these with the right to send to a dead-letter queue; they show its address and counts, no message.',
    grants: {
      'archive-audit': [
        'sqs:GetQueueAttributes on <ArchiverDeadLetters>',
        'sqs:GetQueueUrl on <ArchiverDeadLetters>',
      ],
      'plan-rotations': ['sqs:GetQueueAttributes on <DeadLetters>', 'sqs:GetQueueUrl on <DeadLetters>'],
      'publish-events': ['sqs:GetQueueAttributes on <DeadLetters>', 'sqs:GetQueueUrl on <DeadLetters>'],
      'reconcile-database': ['sqs:GetQueueAttributes on <DeadLetters>', 'sqs:GetQueueUrl on <DeadLetters>'],
    },
  },
  {
    reason:
      'The guide of Lambda names it among what polling a stream needs; the Service Authorization Reference knows no resource for it, so no simulation can say that it takes effect.',
    grants: {
      'archive-audit': ['dynamodb:ListStreams on <LedgerStream>'],
      'publish-events': ['dynamodb:ListStreams on <LedgerStream>'],
    },
  },
];

const WITH_SECRETS_KEY = [
  'kms:Decrypt on <SecretsKey> if via secretsmanager',
  'kms:GenerateDataKey on <SecretsKey> if via secretsmanager',
];
const OTHER_TYPES = CREDENTIAL_TYPES.filter((type) => type !== 'database');
const USERS = 'iam::<AWS::AccountId>:user/* if rekey:stage=local';
const END_KEYS = [
  `iam:ListAccessKeys on ${USERS}`,
  `iam:ListUserTags on ${USERS}`,
  `iam:UpdateAccessKey on ${USERS}`,
  `iam:DeleteAccessKey on ${USERS}`,
  `iam:UntagUser on ${USERS}, aws:TagKeys, aws:TagKeys`,
];

const END_SERVICE_KEYS = [
  `iam:ListServiceSpecificCredentials on ${USERS}`,
  `iam:ListUserTags on ${USERS}`,
  `iam:UpdateServiceSpecificCredential on ${USERS}`,
  `iam:DeleteServiceSpecificCredential on ${USERS}`,
  `iam:UntagUser on ${USERS}, aws:TagKeys, aws:TagKeys`,
];

/** What the runs with databases use and the one with keys does not, though the code is the same. */
function onlyOfDatabases(type: CredentialType): UnusedGrants {
  const own = AGENTS.replace('=database', `=${type}`);
  return {
    reason: 'The end-to-end runs with databases use it; the code is the same for every type.',
    sometimes: true,
    grants: {
      [`rotate-${type}`]: [`states:StartExecution on ${LIFECYCLE}`],
      [`register-${type}`]: [
        'dynamodb:DeleteItem on <Ledger> if dynamodb:LeadingKeys',
        `secretsmanager:CancelRotateSecret on ${own}`,
        `secretsmanager:TagResource on ${own}, aws:TagKeys, aws:TagKeys`,
        `secretsmanager:UntagResource on ${own}, aws:TagKeys, aws:TagKeys`,
        `secretsmanager:UpdateSecretVersionStage on ${own}, secretsmanager:VersionStage`,
      ],
      [`revoke-${type}`]: [`states:SendTaskSuccess on ${LIFECYCLE}`],
      [`reconcile-${type}`]: [
        'kms:Decrypt on <DataKey> if via dynamodb',
        'dynamodb:Query on <Ledger>/index/byGroup',
      ],
      // For a value that leaked and is dead already.
      'control-api': [`lambda:InvokeFunction on <Verify${pascal(type)}Live>`],
    },
  };
}

/** `llm-key` → `LlmKey`, as logical ids have it. */
function pascal(type: CredentialType): string {
  return type.replace(/(?:^|-)(.)/g, (_match, letter: string) => letter.toUpperCase());
}

const SETS = (operation: string): string => `dynamodb:${operation} on <Directory> if dynamodb:LeadingKeys`;
const OPENS_SEALED = 'kms:Decrypt on <DataKey> if kms:EncryptionContext:rekey:purpose';
/** Types whose keys may stay in KMS. */
type Signing = 'signing-key' | 'certificate-authority';
const keysThatSign = (type: Signing, ...operations: string[]): string[] =>
  operations.map(
    (operation) => `kms:${operation} on kms:key/* if kms:KeyUsage, rekey:type=${type}, rekey:stage=local`,
  );
const endKeys = (type: Signing): string[] => keysThatSign(type, 'DisableKey', 'ScheduleKeyDeletion');
const OF_PRIVATE_CA =
  'on acm-pca:certificate-authority/* if rekey:type=certificate-authority, rekey:stage=local';
const ENDS_PRIVATE_CA = [`acm-pca:UpdateCertificateAuthority ${OF_PRIVATE_CA}`];
const ISSUES_BY_PRIVATE_CA = [
  `acm-pca:IssueCertificate ${OF_PRIVATE_CA}, acm-pca:TemplateArn`,
  `acm-pca:GetCertificate ${OF_PRIVATE_CA}`,
];
export const UNUSED_GRANTS: readonly UnusedGrants[] = [
  {
    reason:
      'AWS Health tells of one key that was found, within the caps: of what it suspects, and of what is held, nothing here (test/unit/signals, test/integration/signals.int.test.ts).',
    sometimes: true,
    grants: {
      'receive-notice': [
        HOLDS_OTHERS,
        FINDS_KEYS,
        `states:StartExecution on ${LIFECYCLE}`,
        'states:StartExecution on <SuspensionMachine>',
        'states:DescribeExecution on states:execution:rekey-local-incident-emergency:*',
        'sqs:GetQueueAttributes on <NoticeDeadLetters>',
        'sqs:GetQueueUrl on <NoticeDeadLetters>',
      ],
    },
  },
  {
    reason:
      'Nothing tells of calls and reads here but events that a test puts on the bus: what is kept of them is tested on the table (test/integration/upstream-uses.int.test.ts).',
    sometimes: true,
    grants: {
      'observe-uses': [
        'dynamodb:GetItem on <Ledger> if dynamodb:LeadingKeys',
        'dynamodb:PutItem on <Ledger> if dynamodb:LeadingKeys',
        'kms:Decrypt on <DataKey> if via dynamodb',
        'sqs:GetQueueAttributes on <UsesDeadLetters>',
        'sqs:GetQueueUrl on <UsesDeadLetters>',
      ],
      'archive-audit': ['s3:PutObject on <Archive>/upstream-uses/*'],
    },
  },
  {
    reason:
      'Upstreams are asked by the hour, and after an emergency, of whatever is declared by then (test/unit/engine/collect-usage.test.ts, test/contract).',
    sometimes: true,
    grants: {
      'collect-usage-llm-key': [
        ...COLLECTS,
        'secretsmanager:GetSecretValue on secretsmanager:secret:* if rekey:admin=llm-key',
      ],
      'collect-usage-cloud-key': [
        ...COLLECTS,
        'iam:ListAccessKeys on iam::<AWS::AccountId>:user/* if rekey:stage=local',
        'iam:GetAccessKeyLastUsed on *',
      ],
    },
  },
  {
    reason:
      'Uses are judged every quarter of an hour, which few runs last; what of it there is to read depends on what agents and upstreams have told by then (test/unit/anomalies, test/integration/signals.int.test.ts, test/integration/agent-store.int.test.ts).',
    sometimes: true,
    grants: {
      'observe-readers': [
        'dynamodb:Query on <Ledger>/index/byGroup',
        ASKS_AGENTS,
        'sqs:GetQueueAttributes on <ReadersDeadLetters>',
        'sqs:GetQueueUrl on <ReadersDeadLetters>',
      ],
    },
  },
  ...OF_DATABASES,
  ...OTHER_TYPES.flatMap((type) => [
    ...OF_DATABASES.map((each) => ofType(each, type)),
    onlyOfDatabases(type),
  ]),
  {
    reason:
      'The secret of a root is its owner’s, here under the key of the service; one under Rekey’s own key works as well.',
    sometimes: true,
    grants: Object.fromEntries(
      ROOT_TYPES.flatMap((type) => [
        [`rotate-${type}`, WITH_SECRETS_KEY],
        [`replace-${type}`, WITH_SECRETS_KEY],
        [`register-${type}`, ['kms:Decrypt on <SecretsKey> if via secretsmanager']],
        [`rollback-${type}`, ['kms:Decrypt on <SecretsKey> if via secretsmanager']],
      ]),
    ),
  },
  {
    reason:
      'A superuser administers itself (test/faults/masters.test.ts); here another administers it, as where there are no superusers.',
    sometimes: true,
    grants: Object.fromEntries(
      TYPED_ROLES.map((role) => [
        `${role}-database-root`,
        [`secretsmanager:GetSecretValue on ${ROOTS.replace('=root', '=database-root')}`],
      ]),
    ),
  },
  {
    reason: 'Its keys tell of no use; it looks only whether one that was ended is dead.',
    sometimes: true,
    grants: {
      'verify-vector-database-key': [
        `secretsmanager:GetSecretValue on ${ADMINS.replace('=database', '=vector-database-key')}`,
      ],
      'verify-cloud-key': [`secretsmanager:GetSecretValue on ${ADMINS.replace('=database', '=cloud-key')}`],
      'verify-oauth-client': [
        `secretsmanager:GetSecretValue on ${ADMINS.replace('=database', '=oauth-client')}`,
      ],
    },
  },
  {
    reason:
      'What an interrupted attempt, a rotation that stood still or an earlier emergency has left at a user (test/unit/providers/aws-iam.test.ts, bedrock.test.ts).',
    sometimes: true,
    grants: {
      'rotate-cloud-key': ['iam:GetAccessKeyLastUsed on *'],
      'register-cloud-key': END_KEYS,
      'rollback-cloud-key': END_KEYS,
      'reconcile-cloud-key': END_KEYS,
      'replace-cloud-key': [
        ...END_KEYS,
        `iam:ListUserPolicies on ${USERS}`,
        `iam:PutUserPolicy on ${USERS}`,
        `iam:DeleteUserPolicy on ${USERS}`,
      ],
      'revoke-cloud-key': [`iam:DeleteUserPolicy on ${USERS}`],
      'register-llm-key': END_SERVICE_KEYS,
      'rollback-llm-key': END_SERVICE_KEYS,
      'reconcile-llm-key': END_SERVICE_KEYS,
      'replace-llm-key': END_SERVICE_KEYS,
      'verify-llm-key': [`iam:ListServiceSpecificCredentials on ${USERS}`],
    },
  },
  {
    reason:
      'What a rotation of an identity that stood still, a registration that was repeated, a way back out of a soak and a look at what was ended would use (test/contract/describe-identity-faults.ts).',
    sometimes: true,
    grants: {
      ...Object.fromEntries(
        IDENTITY_TYPES.flatMap((type) => [
          [`reconcile-${type}`, ['GetItem', 'PutItem', 'DeleteItem'].map(SETS)],
          [`register-${type}`, [OPENS_SEALED]],
          [`verify-${type}`, [SETS('GetItem')]],
        ]),
      ),
      'rollback-agent-token': [SETS('PutItem')],
    },
  },
  {
    reason:
      'Ends a key in KMS that was made in vain, and what a rotation that stood still has left (test/unit/providers/jwks-kms.test.ts, x509.test.ts).',
    sometimes: true,
    grants: Object.fromEntries(
      (['signing-key', 'certificate-authority'] as const).flatMap((type) => [
        ...['rotate', 'register', 'replace'].map((role) => [`${role}-${type}`, endKeys(type)] as const),
        [`rollback-${type}`, keysThatSign(type, 'Sign')],
        [`reconcile-${type}`, [...keysThatSign(type, 'Sign'), ...endKeys(type)]],
      ]),
    ),
  },
  {
    reason:
      'Disables an authority of AWS Private CA that was taken in vain, and ends what a rotation that stood still has left (test/unit/providers/private-ca.test.ts).',
    sometimes: true,
    grants: {
      ...Object.fromEntries(
        ['rotate', 'register', 'replace'].map((role) => [`${role}-certificate-authority`, ENDS_PRIVATE_CA]),
      ),
      'reconcile-certificate-authority': [...ENDS_PRIVATE_CA, ...ISSUES_BY_PRIVATE_CA],
    },
  },
];
