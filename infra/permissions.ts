import { Aws } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { ApiRoute } from '../shared/domain/access.ts';
import { TABLE, TAG } from '../shared/names.ts';
import type { Settings } from './config.ts';

/**
 * What a function may do: one named capability per need, in this one place. A function's role is the list of those
 * that it is given and nothing else (docs/architecture.md, "Functions").
 */
export interface Grant {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>;
  /** Why a resource has to be a pattern. Without it cdk-nag refuses the pattern. */
  readonly wildcard?: string;
}

/** The ledger table with the key that encrypts it. */
export interface LedgerAccess {
  readonly tableArn: string;
  readonly keyArn: string;
}

const region = Aws.REGION;
const account = Aws.ACCOUNT_ID;
const arn = (service: string, resource: string): string =>
  `arn:${Aws.PARTITION}:${service}:${region}:${account}:${resource}`;

/** Use of a key through one service only, never directly. */
function viaService(service: string, keyArns: readonly string[], actions: readonly string[]): Grant {
  return {
    actions,
    resources: keyArns,
    conditions: { StringEquals: { 'kms:ViaService': `${service}.${region}.${Aws.URL_SUFFIX}` } },
  };
}

// --- Ledger ---------------------------------------------------------------------------------------------------------

/** Single items by their key. */
export function readLedger({ tableArn, keyArn }: LedgerAccess): Grant[] {
  return [
    { actions: ['dynamodb:GetItem'], resources: [tableArn] },
    viaService('dynamodb', [keyArn], ['kms:Decrypt']),
  ];
}

/** Transactions of puts; IAM sees the operations inside TransactWriteItems. Never a delete: records stay. */
export function writeLedger(ledger: LedgerAccess): Grant[] {
  return [...readLedger(ledger), { actions: ['dynamodb:PutItem'], resources: [ledger.tableArn] }];
}

/** Lists by the index: credentials, unfinished rotations, records by month. */
export function listLedger({ tableArn }: LedgerAccess): Grant[] {
  return [{ actions: ['dynamodb:Query'], resources: [`${tableArn}/index/${TABLE.index}`] }];
}

/** The records of one credential. */
export function readRecords({ tableArn }: LedgerAccess): Grant[] {
  return [{ actions: ['dynamodb:Query'], resources: [tableArn] }];
}

/** Gives back the reservation of a registration that came to nothing: locks only, never a head or a record. */
export function releaseLedger({ tableArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['dynamodb:DeleteItem'],
      resources: [tableArn],
      conditions: {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#NAME#*', '*#SECRET#*', '*#TARGET#*'] },
      },
    },
  ];
}

export function readStream(streamArn: string, keyArn: string): Grant[] {
  return [
    {
      actions: [
        'dynamodb:DescribeStream',
        'dynamodb:GetRecords',
        'dynamodb:GetShardIterator',
        'dynamodb:ListStreams',
      ],
      resources: [streamArn],
    },
    viaService('dynamodb', [keyArn], ['kms:Decrypt']),
  ];
}

// --- Secrets --------------------------------------------------------------------------------------------------------

/** Which secrets: of a credential type, made by the deployment of a stage. */
export interface SecretsOf {
  readonly type: string;
  readonly stage: string;
  /** What the names begin with of those that Rekey makes: a tag alone could be put on a secret of somebody else. */
  readonly prefix: string;
  /** The same of those that it may adopt beside them, and the customer keys that these are encrypted with. */
  readonly adoptPrefixes: readonly string[];
  readonly adoptKeyArns: readonly string[];
}

/** The secrets of a type that a deployment with `settings` reaches. */
export function secretsOf(
  type: string,
  {
    stage,
    secretPrefix: prefix,
    adoptPrefixes,
    adoptKeyArns,
  }: Pick<Settings, 'stage' | 'secretPrefix' | 'adoptPrefixes' | 'adoptKeyArns'>,
): SecretsOf {
  return { type, stage, prefix, adoptPrefixes, adoptKeyArns };
}

const ANY_SECRET = arn('secretsmanager', 'secret:*');
const secretsBelow = (prefix: string): string => arn('secretsmanager', `secret:${prefix}*`);
const secretWildcard =
  'Secrets are registered at run time; the condition on the tag narrows the pattern to those of Rekey (ADR: roles by attributes).';

/** Only secrets below the prefixes that carry the tags of that type and of this deployment (hard decision 15). */
function agentSecrets(of: SecretsOf, actions: readonly string[]): Grant {
  return {
    actions: actions.map((action) => `secretsmanager:${action}`),
    resources: [of.prefix, ...of.adoptPrefixes].map(secretsBelow),
    conditions: { StringEquals: tagsOf(of) },
    wildcard: secretWildcard,
  };
}

function tagsOf({ type, stage }: SecretsOf): Readonly<Record<string, string>> {
  return { [`aws:ResourceTag/${TAG.type}`]: type, [`aws:ResourceTag/${TAG.stage}`]: stage };
}

/** Reads a secret of agents: its value and its labels. */
export function readAgentSecrets(of: SecretsOf, secretsKeyArn: string): Grant[] {
  return [
    agentSecrets(of, ['DescribeSecret', 'GetSecretValue']),
    viaService('secretsmanager', [secretsKeyArn, ...of.adoptKeyArns], ['kms:Decrypt']),
  ];
}

/** Stores a version. */
export function putAgentSecrets(of: SecretsOf, secretsKeyArn: string): Grant[] {
  return [
    agentSecrets(of, ['PutSecretValue']),
    viaService('secretsmanager', [secretsKeyArn, ...of.adoptKeyArns], ['kms:GenerateDataKey', 'kms:Decrypt']),
  ];
}

/** Moves labels between versions. */
export function labelAgentSecrets(of: SecretsOf): Grant[] {
  return [agentSecrets(of, ['UpdateSecretVersionStage'])];
}

/**
 * Asks Secrets Manager to rotate, after taking a label off that an abandoned rotation has left. The service checks
 * that the caller may invoke the rotation function.
 */
export function rotateAgentSecrets(of: SecretsOf, rotatorArn: string): Grant[] {
  return [
    agentSecrets(of, ['DescribeSecret', 'RotateSecret', 'UpdateSecretVersionStage']),
    ...invoke(rotatorArn),
  ];
}

/** Sets by whom and how often a secret is rotated. The service checks that the caller may invoke that function. */
export function configureRotation(of: SecretsOf, rotatorArn: string): Grant[] {
  return [agentSecrets(of, ['RotateSecret']), ...invoke(rotatorArn)];
}

/** Creates a secret that carries Rekey's tag from its first moment; a secret of anybody else can't be tagged. */
export function createAgentSecrets(of: SecretsOf, secretsKeyArn: string): Grant[] {
  return [
    {
      actions: ['secretsmanager:CreateSecret', 'secretsmanager:TagResource'],
      resources: [secretsBelow(of.prefix)],
      conditions: {
        StringEquals: { [`aws:RequestTag/${TAG.type}`]: of.type, [`aws:RequestTag/${TAG.stage}`]: of.stage },
        // Never rekey:admin, which would make a secret readable as an administrative one.
        'ForAllValues:StringEquals': { 'aws:TagKeys': [TAG.type, TAG.stage, TAG.credential] },
      },
      wildcard: 'The secret does not exist yet; the condition demands the tag of Rekey in the request.',
    },
    {
      actions: ['secretsmanager:DescribeSecret'],
      resources: [secretsBelow(of.prefix)],
      wildcard: 'Tells whether a name is taken by a secret of somebody else; describing shows no value.',
    },
    // Undoes a registration that failed for good; never of what was there before.
    { ...agentSecrets(of, ['DeleteSecret']), resources: [secretsBelow(of.prefix)] },
    viaService('secretsmanager', [secretsKeyArn], ['kms:GenerateDataKey', 'kms:Decrypt']),
  ];
}

/**
 * Takes over a secret that exists, or gives it back. Its owner's tags are the consent, which Rekey can't give itself: it
 * may add and remove nothing but the tag that names the credential, on a secret that carries the other two.
 */
export function adoptAgentSecrets(of: SecretsOf): Grant[] {
  return [
    ...(of.adoptPrefixes.length === 0
      ? []
      : [
          {
            actions: ['secretsmanager:DescribeSecret'],
            resources: of.adoptPrefixes.map(secretsBelow),
            wildcard: 'Tells what is there to adopt, and which tags are missing; describing shows no value.',
          },
        ]),
    {
      ...agentSecrets(of, ['TagResource', 'UntagResource']),
      conditions: {
        StringEquals: tagsOf(of),
        'ForAllValues:StringEquals': { 'aws:TagKeys': [TAG.credential] },
        // For all of none is true as well.
        Null: { 'aws:TagKeys': 'false' },
      },
    },
    agentSecrets(of, ['CancelRotateSecret']),
  ];
}

/**
 * Lists the account's secrets, and reads those below `adoptPrefixes` for their form: naming a prefix there is the
 * consent. Administrative ones are never among them.
 */
export function takeInventory({ adoptPrefixes, adoptKeyArns }: SecretsOf): Grant[] {
  return [
    {
      actions: ['secretsmanager:ListSecrets'],
      resources: ['*'],
      wildcard: 'Listing knows no resource; it shows names, tags and dates, no value.',
    },
    ...(adoptPrefixes.length === 0
      ? []
      : [
          {
            actions: ['secretsmanager:GetSecretValue'],
            resources: adoptPrefixes.map(secretsBelow),
            conditions: { Null: { [`aws:ResourceTag/${TAG.admin}`]: 'true' } },
            wildcard: 'Secrets are found at run time; the pattern is a prefix that the settings name.',
          },
        ]),
    ...(adoptKeyArns.length === 0 ? [] : [viaService('secretsmanager', adoptKeyArns, ['kms:Decrypt'])]),
  ];
}

/** Reads the administrative credential of a target; only functions that log in to the target as its administrator. */
export function readAdminSecret(type: string, keyArns: readonly string[]): Grant[] {
  return [
    {
      actions: ['secretsmanager:GetSecretValue'],
      resources: [ANY_SECRET],
      conditions: { StringEquals: { [`aws:ResourceTag/${TAG.admin}`]: type } },
      wildcard: secretWildcard,
    },
    ...(keyArns.length === 0 ? [] : [viaService('secretsmanager', keyArns, ['kms:Decrypt'])]),
  ];
}

// --- Holders --------------------------------------------------------------------------------------------------------

/**
 * Looks at the services and functions that hold a credential, and redeploys services: only those whose owner has
 * consented by the tag of this deployment.
 */
export function watchHolders(stage: string): Grant[] {
  const consented = { StringEquals: { [`aws:ResourceTag/${TAG.stage}`]: stage } };
  const wildcard =
    'Holders are declared at run time; their owner consents by the tag that the condition demands.';
  return [
    {
      actions: ['ecs:DescribeServices', 'ecs:UpdateService'],
      resources: [arn('ecs', 'service/*')],
      conditions: consented,
      wildcard,
    },
    ...[
      { actions: ['ecs:ListTasks'], resources: [arn('ecs', 'container-instance/*')] },
      { actions: ['ecs:DescribeTasks'], resources: [arn('ecs', 'task/*')] },
    ].map((grant) => ({
      ...grant,
      wildcard:
        'ECS lists tasks by container instance, and they carry the tags of their service only where it says so.',
    })),
    {
      actions: ['lambda:GetAlias', 'lambda:GetFunctionConfiguration', 'lambda:ListVersionsByFunction'],
      resources: [arn('lambda', 'function:*')],
      conditions: consented,
      wildcard,
    },
  ];
}

// --- Machines, functions, events ------------------------------------------------------------------------------------

export function start(machineArn: string): Grant[] {
  return [{ actions: ['states:StartExecution'], resources: [machineArn] }];
}

/** Answers a state that waits with a task token. */
export function answer(machineArn: string): Grant[] {
  return [{ actions: ['states:SendTaskSuccess'], resources: [machineArn] }];
}

/** Reads the status of the executions of the machine `name`. */
export function watch(name: string): Grant[] {
  return [
    {
      actions: ['states:DescribeExecution'],
      resources: [arn('states', `execution:${name}:*`)],
      wildcard: 'Executions are named at run time; the pattern is this one machine.',
    },
  ];
}

export function invoke(aliasArn: string): Grant[] {
  return [{ actions: ['lambda:InvokeFunction'], resources: [aliasArn] }];
}

export function publish(busArn: string): Grant[] {
  return [{ actions: ['events:PutEvents'], resources: [busArn] }];
}

// --- Buckets --------------------------------------------------------------------------------------------------------

/** Adds objects; never reads, deletes or sets a retention. */
export function appendObjects(bucketArn: string, prefix: string): Grant[] {
  return [
    {
      actions: ['s3:PutObject'],
      resources: [`${bucketArn}/${prefix}*`],
      wildcard: 'Objects are named at run time; the pattern is one prefix of one bucket.',
    },
  ];
}

export function readObjects(bucketArn: string, prefix: string): Grant[] {
  return [
    {
      actions: ['s3:GetObject'],
      resources: [`${bucketArn}/${prefix}*`],
      wildcard: 'Objects are named at run time; the pattern is one prefix of one bucket.',
    },
  ];
}

// --- People ---------------------------------------------------------------------------------------------------------

/** Calls these routes of the control API. A parameter may be anything; API Gateway has matched the route by then. */
export function callApi(apiId: string, routes: readonly ApiRoute[]): Grant[] {
  return [
    {
      actions: ['execute-api:Invoke'],
      resources: routes.map(({ method, path }) =>
        arn('execute-api', `${apiId}/$default/${method}${path.replace(/\{[^}]+\}/g, '*')}`),
      ),
      wildcard: 'Stands for the name in the path of a route.',
    },
  ];
}

/** Finds the address of the control API, as the CLI does. */
export function describeStack(name: string): Grant[] {
  return [
    {
      actions: ['cloudformation:DescribeStacks'],
      resources: [arn('cloudformation', `stack/${name}/*`)],
      wildcard: 'The id of a stack ends in what CloudFormation chooses.',
    },
  ];
}

/** Reads the archive object by object, with its locks, and asks it by Athena. */
export function readEvidence(of: {
  archiveArn: string;
  prefixes: readonly string[];
  resultsArn: string;
  resultsPrefix: string;
  workgroupArn: string;
  database: string;
}): Grant[] {
  const objects = 'Objects are named at run time; the pattern is one prefix of one bucket.';
  return [
    {
      actions: [
        's3:GetBucketLocation',
        's3:GetBucketObjectLockConfiguration',
        's3:ListBucket',
        's3:ListBucketVersions',
      ],
      resources: [of.archiveArn],
    },
    {
      actions: ['s3:GetObject', 's3:GetObjectRetention', 's3:GetObjectVersion'],
      resources: of.prefixes.map((prefix) => `${of.archiveArn}/${prefix}*`),
      wildcard: objects,
    },
    { actions: ['s3:GetBucketLocation', 's3:ListBucket'], resources: [of.resultsArn] },
    {
      // Athena writes its answer with the rights of whoever asks.
      actions: ['s3:AbortMultipartUpload', 's3:GetObject', 's3:PutObject'],
      resources: [`${of.resultsArn}/${of.resultsPrefix}*`],
      wildcard: objects,
    },
    {
      actions: [
        'athena:BatchGetNamedQuery',
        'athena:GetNamedQuery',
        'athena:GetQueryExecution',
        'athena:GetQueryResults',
        'athena:GetWorkGroup',
        'athena:ListNamedQueries',
        'athena:StartQueryExecution',
        'athena:StopQueryExecution',
      ],
      resources: [of.workgroupArn],
    },
    {
      actions: ['glue:GetDatabase', 'glue:GetPartitions', 'glue:GetTable', 'glue:GetTables'],
      resources: [
        arn('glue', 'catalog'),
        arn('glue', `database/${of.database}`),
        arn('glue', `table/${of.database}/*`),
      ],
      wildcard: 'The tables of one database of the catalog.',
    },
  ];
}

/** The grant as IAM writes it. */
export function statement({ actions, resources, conditions }: Grant): PolicyStatement {
  return new PolicyStatement({
    actions: [...actions],
    resources: [...resources],
    ...(conditions === undefined ? {} : { conditions }),
  });
}

// --- Network --------------------------------------------------------------------------------------------------------

/**
 * What database functions together call through the endpoints of a VPC, where it is Rekey's: the policies of the
 * endpoints (a test holds them against the roles). Keys need none: services use them for the caller.
 */
export function throughEndpoints(rekey: {
  tableArn: string;
  snapshotsArn: string;
  /** What the names of the machines begin with. */
  machines: string;
}): Grant[] {
  return [
    {
      actions: [
        'CancelRotateSecret',
        'CreateSecret',
        'DeleteSecret',
        'DescribeSecret',
        'GetSecretValue',
        'PutSecretValue',
        'RotateSecret',
        'TagResource',
        'UntagResource',
        'UpdateSecretVersionStage',
      ].map((action) => `secretsmanager:${action}`),
      resources: [ANY_SECRET],
    },
    {
      actions: ['states:SendTaskSuccess', 'states:StartExecution'],
      resources: [arn('states', `stateMachine:${rekey.machines}-*`)],
    },
    {
      actions: ['dynamodb:DeleteItem', 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:Query'],
      resources: [rekey.tableArn, `${rekey.tableArn}/index/${TABLE.index}`],
    },
    { actions: ['s3:GetObject', 's3:PutObject'], resources: [`${rekey.snapshotsArn}/*`] },
  ];
}

/** What Lambda itself needs to join a VPC; `denyOwnNetwork` keeps the function's code from using it. */
export function joinNetwork(): Grant[] {
  return [
    {
      actions: [
        'ec2:AssignPrivateIpAddresses',
        'ec2:CreateNetworkInterface',
        'ec2:DeleteNetworkInterface',
        'ec2:DescribeNetworkInterfaces',
        'ec2:DescribeSubnets',
        'ec2:UnassignPrivateIpAddresses',
      ],
      resources: ['*'],
      wildcard:
        'EC2 knows no resource for these at the time Lambda asks; a deny binds them to the Lambda service.',
    },
  ];
}
