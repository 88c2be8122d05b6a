/**
 * Records of CloudTrail in the forms that AWS documents (CloudTrail user guide, "userIdentity element"; Secrets Manager
 * user guide, "CloudTrail entries"), with accounts reserved for documentation.
 */
export const ACCOUNT = '111122223333';
export const REGION = 'eu-central-1';

/** The identity of a session under a role; `scope` is what AWS says that the credentials were issued to. */
export function assumedRole(
  role: string,
  session: string,
  scope?: { issuerType: string; credentialsIssuedTo: string },
  account = ACCOUNT,
): Record<string, unknown> {
  return {
    type: 'AssumedRole',
    principalId: `AROA123456789EXAMPLE:${session}`,
    arn: `arn:aws:sts::${account}:assumed-role/${role.split('/').at(-1) ?? ''}/${session}`,
    accountId: account,
    accessKeyId: 'ASIAIOSFODNN7EXAMPLE',
    sessionContext: {
      sessionIssuer: {
        type: 'Role',
        principalId: 'AROA123456789EXAMPLE',
        arn: `arn:aws:iam::${account}:role/${role}`,
        accountId: account,
        userName: role,
      },
      attributes: { creationDate: '2026-11-22T10:00:00Z', mfaAuthenticated: 'false' },
    },
    ...(scope === undefined ? {} : { inScopeOf: scope }),
  };
}

/** A function's session, as AWS vouches for it. */
export function lambdaSession(role: string, name: string): Record<string, unknown> {
  return assumedRole(role, name, {
    issuerType: 'AWS::Lambda::Function',
    credentialsIssuedTo: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${name}`,
  });
}

/** A read of a secret that was answered. */
export function readRecord(
  secretId: string,
  userIdentity: Record<string, unknown>,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    eventVersion: '1.11',
    userIdentity,
    eventTime: '2026-11-22T10:12:54Z',
    eventSource: 'secretsmanager.amazonaws.com',
    eventName: 'GetSecretValue',
    awsRegion: REGION,
    sourceIPAddress: '203.0.113.7',
    userAgent: 'aws-sdk-js/3.1163.0 os/linux lang/js',
    requestParameters: { secretId },
    responseElements: null,
    requestID: '027507ea-f377-43d9-bf2f-646d4dc19223',
    eventID: 'f9c3ed0f-81f5-4500-a6f7-0123456789ab',
    readOnly: true,
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: ACCOUNT,
    eventCategory: 'Management',
    ...more,
  };
}

/** A call with an access key of a user of IAM. */
export function keyCall(
  accessKeyId: string,
  userName: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  const { requestParameters: _parameters, ...record } = readRecord('', {
    type: 'IAMUser',
    principalId: 'AIDA123456789EXAMPLE',
    arn: `arn:aws:iam::${ACCOUNT}:user/${userName}`,
    accountId: ACCOUNT,
    accessKeyId,
    userName,
  });
  return { ...record, eventSource: 's3.amazonaws.com', eventName: 'ListBuckets', ...more };
}
