import { SEAL, TABLE } from '../../shared/names.ts';
import { viaService, type Grant } from './grant.ts';

/** The ledger table with the key that encrypts it. */
export interface LedgerAccess {
  readonly tableArn: string;
  readonly keyArn: string;
}

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

/** Holds a start against the head of a master that it rests on; with `writeLedger`. */
export function holdHeads({ tableArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['dynamodb:ConditionCheckItem'],
      resources: [tableArn],
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#C#*'] } },
    },
  ];
}

/** Lists by the index: credentials, unfinished rotations, records by month. */
export function listLedger({ tableArn }: LedgerAccess): Grant[] {
  return [{ actions: ['dynamodb:Query'], resources: [`${tableArn}/index/${TABLE.index}`] }];
}

/** Lists the heads of credentials by the index, and nothing else of it. */
export function listCredentials({ tableArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['dynamodb:Query'],
      resources: [`${tableArn}/index/${TABLE.index}`],
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#CREDENTIALS'] } },
    },
  ];
}

/** The records of one credential. */
export function readRecords({ tableArn }: LedgerAccess): Grant[] {
  return [{ actions: ['dynamodb:Query'], resources: [tableArn] }];
}

/** What agents have said of themselves; their pacts are single items. */
export function askAgents({ tableArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['dynamodb:Query'],
      resources: [tableArn],
      conditions: {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#AGENT#*', '*#ACK#*', '*#USE#*'] },
      },
    },
  ];
}

/** Seals what acknowledgements are held against; it can be unsealed by whoever checks them alone (hard decision 7). */
export function sealAcknowledgements({ keyArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['kms:Encrypt'],
      resources: [keyArn],
      conditions: { StringEquals: { [`kms:EncryptionContext:${SEAL.purpose}`]: 'acknowledgement' } },
    },
  ];
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

/** Keeps who was seen to read a secret, and what is usual of that: items of their own, never a head, a record or a lock. */
export function writeReaders({ tableArn, keyArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['dynamodb:GetItem', 'dynamodb:PutItem'],
      resources: [tableArn],
      conditions: {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#READER#*', '*#BASELINE#*'] },
      },
    },
    viaService('dynamodb', [keyArn], ['kms:Decrypt']),
  ];
}

/** Keeps what upstreams tell of uses: items of their own, never a head, a record or a report of an agent. */
export function writeUpstreamUses({ tableArn, keyArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['dynamodb:GetItem', 'dynamodb:PutItem'],
      resources: [tableArn],
      conditions: {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#UPSTREAM#*', '*#COVERED#*'] },
      },
    },
    viaService('dynamodb', [keyArn], ['kms:Decrypt']),
  ];
}

/** The records of credentials, and of which times upstreams have told; nothing that agents say. */
export function readUseHistory({ tableArn }: LedgerAccess): Grant[] {
  return [
    {
      actions: ['dynamodb:Query'],
      resources: [tableArn],
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#C#*', '*#COVERED#*'] } },
    },
  ];
}

/** Finds the credential of a target or of a secret: locks only, never a head. */
export function findOwners({ tableArn }: LedgerAccess, ...kinds: readonly ('TARGET' | 'SECRET')[]): Grant[] {
  return [
    {
      actions: ['dynamodb:GetItem'],
      resources: [tableArn],
      conditions: {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': kinds.map((kind) => `*#${kind}#*`) },
      },
    },
  ];
}

/** What agents report and upstreams tell of uses, with the pacts and heads that it is held against; with `listLedger`. */
export function readUses({ tableArn }: LedgerAccess): Grant[] {
  const below = (...keys: string[]): NonNullable<Grant['conditions']> => ({
    'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': keys.map((key) => `*#${key}#*`) },
  });
  return [
    { actions: ['dynamodb:GetItem'], resources: [tableArn], conditions: below('C', 'PACT') },
    { actions: ['dynamodb:Query'], resources: [tableArn], conditions: below('USE', 'UPSTREAM') },
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
