import { TAG } from '../../shared/names.ts';
import { viaService, type Grant } from './grant.ts';
import { listLedger, type LedgerAccess } from './ledger.ts';
import {
  labelAgentSecrets,
  putAgentSecrets,
  readAgentSecrets,
  secretsBelow,
  tagsOf,
  type SecretsOf,
} from './secrets.ts';

/** Heads, chains and names of token families: never a credential, nor anything that agents say. */
export function keepFamilies(ledger: LedgerAccess): Grant[] {
  const below = (action: string, ...kinds: string[]): Grant => ({
    actions: [`dynamodb:${action}`],
    resources: [ledger.tableArn],
    conditions: {
      'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': kinds.map((kind) => `*#${kind}#*`) },
    },
  });
  return [
    below('GetItem', 'F', 'NAME'),
    below('PutItem', 'F', 'NAME', 'SECRET', 'BEAT'),
    below('DeleteItem', 'NAME', 'SECRET'),
    ...listLedger(ledger),
    viaService('dynamodb', [ledger.keyArn], ['kms:Decrypt']),
  ];
}

/** Both secrets of each family: makes, reads and writes them, and lets go of them. Deletes none. */
export function keepTokens(of: SecretsOf, secretsKeyArn: string, refreshKeyArn: string): Grant[] {
  const wildcard =
    'Families are registered at run time; the condition on the tags narrows the pattern to theirs.';
  return [
    ...readAgentSecrets(of, secretsKeyArn),
    ...putAgentSecrets(of, secretsKeyArn),
    ...labelAgentSecrets(of),
    {
      actions: ['secretsmanager:CreateSecret', 'secretsmanager:TagResource'],
      resources: [secretsBelow(of.prefix)],
      conditions: {
        StringEquals: { [`aws:RequestTag/${TAG.type}`]: of.type, [`aws:RequestTag/${TAG.stage}`]: of.stage },
        'ForAllValues:StringEquals': { 'aws:TagKeys': [TAG.type, TAG.stage, TAG.credential] },
      },
      wildcard: 'The secret does not exist yet; the condition demands the tags of Rekey in the request.',
    },
    {
      actions: ['secretsmanager:DescribeSecret'],
      resources: [secretsBelow(of.prefix)],
      wildcard: 'Tells whether a name is taken by a secret of somebody else; describing shows no value.',
    },
    {
      actions: ['secretsmanager:UntagResource'],
      resources: [secretsBelow(of.prefix)],
      conditions: {
        StringEquals: tagsOf(of),
        'ForAllValues:StringEquals': { 'aws:TagKeys': [TAG.type, TAG.stage, TAG.credential] },
        // For all of none is true as well.
        Null: { 'aws:TagKeys': 'false' },
      },
      wildcard,
    },
    viaService('secretsmanager', [refreshKeyArn], ['kms:GenerateDataKey', 'kms:Decrypt']),
  ];
}
