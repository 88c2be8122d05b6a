import { viaService, type Grant } from './grant.ts';
import type { LedgerAccess } from './ledger.ts';

/** Finds the keys that have a fingerprint: never a head, a record, or what agents say. */
export function findKeys({ tableArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['dynamodb:Query'],
      resources: [tableArn],
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#FP#*'] } },
    },
  ];
}

/** Counts what is taken of signals; with `writeLedger`. */
export function countSignals({ tableArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['dynamodb:UpdateItem'],
      resources: [tableArn],
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#SIGNAL#*'] } },
    },
  ];
}

/** Reads the secrets that sources share with Rekey, by their ARNs. */
export function readSourceSecrets(arns: readonly string[], keyArns: readonly string[]): Grant[] {
  if (arns.length === 0) return [];
  return [
    { actions: ['secretsmanager:GetSecretValue'], resources: arns },
    ...(keyArns.length === 0 ? [] : [viaService('secretsmanager', keyArns, ['kms:Decrypt'])]),
  ];
}
