import { SEAL, TAG, type TypedRole } from '../../shared/names.ts';
import { arn, viaService, type Grant } from './grant.ts';

/** The table of the directory, the key that encrypts it, and the one that seals what is kept beside it. */
export interface DirectoryAccess {
  readonly tableArn: string;
  readonly keyArn: string;
}

type SetKind = 'jwks' | 'tokens' | 'bundles' | 'leaves';

function below(
  { tableArn }: DirectoryAccess,
  actions: readonly string[],
  part: 'SET' | 'SEALED',
  kinds: readonly SetKind[],
): Grant {
  return {
    actions: actions.map((action) => `dynamodb:${action}`),
    resources: [tableArn],
    conditions: {
      'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': kinds.map((kind) => `*#${part}#${kind}#*`) },
    },
  };
}

/** What verifiers may know, and nothing that is sealed beside it. */
export function readDirectory(directory: DirectoryAccess, ...kinds: SetKind[]): Grant[] {
  return [
    below(directory, ['GetItem'], 'SET', kinds),
    viaService('dynamodb', [directory.keyArn], ['kms:Decrypt']),
  ];
}

/** What a role does with the identities of a kind. */
export function actOnIdentities(directory: DirectoryAccess, role: TypedRole, kind: SetKind): Grant[] {
  if (role === 'verify') return readDirectory(directory, kind);
  // A way back restores what was suspended, which keys and authorities never are.
  if (role === 'rollback') {
    return kind !== 'tokens'
      ? []
      : [...readDirectory(directory, kind), below(directory, ['PutItem'], 'SET', [kind])];
  }
  const ends = [
    ...readDirectory(directory, kind),
    below(directory, ['PutItem'], 'SET', [kind]),
    below(directory, ['DeleteItem'], 'SEALED', [kind]),
  ];
  const takes = role === 'rotate' || role === 'register' || role === 'replace';
  if (!takes) return ends;
  return [
    ...ends,
    below(directory, ['GetItem', 'PutItem'], 'SEALED', [kind]),
    {
      actions: ['kms:Encrypt', 'kms:Decrypt'],
      resources: [directory.keyArn],
      conditions: { StringEquals: { [`kms:EncryptionContext:${SEAL.purpose}`]: 'identity' } },
    },
  ];
}

/** What a role does with the keys of a type that stay in KMS: those that carry the tags of this deployment, and no other. */
export function actOnKeysThatSign(
  type: 'signing-key' | 'certificate-authority',
  role: TypedRole,
  stage: string,
): Grant[] {
  if (role === 'verify') return [];
  // Keys that encrypt are out of reach, whoever tags them.
  const usage = { 'kms:KeyUsage': 'SIGN_VERIFY' };
  const ours = {
    ...usage,
    [`aws:ResourceTag/${TAG.type}`]: type,
    [`aws:ResourceTag/${TAG.stage}`]: stage,
  };
  const on = (actions: readonly string[]): Grant => ({
    actions: actions.map((action) => `kms:${action}`),
    resources: [arn('kms', 'key/*')],
    conditions: { StringEquals: ours },
    wildcard: 'Keys are made at run time; the condition on their tags narrows the pattern to those of Rekey.',
  });
  const ends = on(['DisableKey', 'ScheduleKeyDeletion']);
  if (role === 'retire' || role === 'revoke') return [ends];
  if (role === 'rollback') return [on(['Sign'])];
  if (role === 'reconcile') return [ends, on(['Sign'])];
  return [
    ends,
    on(['Sign', 'GetPublicKey']),
    {
      actions: ['kms:CreateKey', 'kms:TagResource'],
      resources: ['*'],
      conditions: {
        StringEquals: {
          ...usage,
          [`aws:RequestTag/${TAG.type}`]: type,
          [`aws:RequestTag/${TAG.stage}`]: stage,
        },
        'ForAllValues:StringEquals': { 'aws:TagKeys': [TAG.type, TAG.stage, TAG.set] },
      },
      wildcard: 'The key does not exist yet; the condition demands the tags of Rekey in the request.',
    },
  ];
}

/** What a verifier of tokens may call. Public keys need no right. */
export function callDirectory(apiArn: (path: string) => string): Grant[] {
  return [
    {
      actions: ['execute-api:Invoke'],
      resources: [apiArn('GET/tokens/*'), apiArn('POST/introspect')],
      wildcard: 'Sets are named in declarations; the pattern is one route of one API.',
    },
  ];
}
