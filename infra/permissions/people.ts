import { Aws } from 'aws-cdk-lib';
import type { ApiRoute } from '../../shared/domain/access.ts';
import { arn, type Grant } from './grant.ts';

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

/** Finds the address of the control API, and how the stacks of the deployment stand, as the CLI does. */
export function describeStacks(names: readonly string[]): Grant[] {
  return [
    {
      actions: ['cloudformation:DescribeStacks'],
      resources: names.map((name) => arn('cloudformation', `stack/${name}/*`)),
      wildcard: 'The id of a stack ends in what CloudFormation chooses.',
    },
  ];
}

/** Counts who has subscribed to the alarms, as `rekey doctor` does; it shows no address. */
export function countSubscribers(topicArn: string): Grant[] {
  return [{ actions: ['sns:GetTopicAttributes'], resources: [topicArn] }];
}

/** Looks whether a trail logs reads of secrets, as `rekey doctor` does; what it has logged is not shown. */
export function describeTrails(): Grant[] {
  return [
    {
      actions: ['cloudtrail:DescribeTrails'],
      resources: ['*'],
      wildcard: 'Listing trails knows no resource; it shows names and where they log to.',
    },
    {
      actions: ['cloudtrail:GetEventSelectors', 'cloudtrail:GetTrailStatus'],
      resources: [`arn:${Aws.PARTITION}:cloudtrail:*:*:trail/*`],
      wildcard:
        'A trail that logs here may be of another region, or of the account that leads the organisation.',
    },
  ];
}

/** Reads objects of the archive, with their versions and locks. */
export function readArchive(archiveArn: string, prefixes: readonly string[]): Grant[] {
  return [
    {
      actions: [
        's3:GetBucketLocation',
        's3:GetBucketObjectLockConfiguration',
        's3:ListBucket',
        's3:ListBucketVersions',
      ],
      resources: [archiveArn],
    },
    {
      actions: ['s3:GetObject', 's3:GetObjectRetention', 's3:GetObjectVersion'],
      resources: prefixes.map((prefix) => `${archiveArn}/${prefix}*`),
      wildcard: OBJECTS,
    },
  ];
}

const OBJECTS = 'Objects are named at run time; the pattern is one prefix of one bucket.';

/** Reads the archive object by object, with its locks, and asks it by Athena. */
export function readEvidence(of: {
  archiveArn: string;
  prefixes: readonly string[];
  resultsArn: string;
  resultsPrefix: string;
  workgroupArn: string;
  database: string;
}): Grant[] {
  return [
    ...readArchive(of.archiveArn, of.prefixes),
    { actions: ['s3:GetBucketLocation', 's3:ListBucket'], resources: [of.resultsArn] },
    {
      // Athena writes its answer with the rights of whoever asks.
      actions: ['s3:AbortMultipartUpload', 's3:GetObject', 's3:PutObject'],
      resources: [`${of.resultsArn}/${of.resultsPrefix}*`],
      wildcard: OBJECTS,
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
