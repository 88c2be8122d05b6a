import { TABLE } from '../../shared/names.ts';
import { arn, type Grant } from './grant.ts';
import { ANY_SECRET } from './secrets.ts';

/**
 * What database functions together call through the endpoints of a VPC, where it is Rekey's: the policies of the
 * endpoints (a test holds them against the roles). Keys need none: services use them for the caller.
 */
export function throughEndpoints(rekey: {
  tableArn: string;
  snapshotsArn: string;
  /** The key of the ledger, which seals acknowledgement keys. */
  keyArn: string;
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
      actions: ['DeleteItem', 'GetItem', 'PutItem', 'Query'].map((action) => `dynamodb:${action}`),
      resources: [rekey.tableArn, `${rekey.tableArn}/index/${TABLE.index}`],
    },
    { actions: ['kms:Encrypt'], resources: [rekey.keyArn] },
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
