import { SEAL } from '../../shared/names.ts';
import { arn, viaService, type Grant } from './grant.ts';
import type { LedgerAccess } from './ledger.ts';

/** Items below these leading keys only: never a head, a rotation, a record or a lock. */
function below({ tableArn }: LedgerAccess, actions: readonly string[], ...kinds: string[]): Grant {
  return {
    actions: actions.map((action) => `dynamodb:${action}`),
    resources: [tableArn],
    conditions: {
      'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': kinds.map((kind) => `*#${kind}#*`) },
    },
  };
}

/**
 * Keeps what agents say, and reads what their notices follow from: single items of the ledger, which it can't change.
 * Nothing of an agent's is ever deleted but a challenge that has served.
 */
export function keepAgents(ledger: LedgerAccess): Grant[] {
  return [
    { actions: ['dynamodb:GetItem'], resources: [ledger.tableArn] },
    below(ledger, ['Query'], 'AGENT', 'ACK'),
    below(ledger, ['PutItem'], 'PACT', 'AGENT', 'ACK', 'STRAY'),
    below(ledger, ['UpdateItem'], 'AGENT', 'ACK', 'USE'),
    below(ledger, ['DeleteItem'], 'ACK#CHALLENGE'),
    ...holdPacts(ledger),
    viaService('dynamodb', [ledger.keyArn], ['kms:Decrypt']),
  ];
}

/** Holds a pact against those of others while it is stored. */
export function holdPacts(ledger: LedgerAccess): Grant[] {
  return [below(ledger, ['ConditionCheckItem'], 'PACT')];
}

/**
 * Checks acknowledgements against their sealed keys, and keeps symmetric keys of instances: nothing else that the key has
 * encrypted opens for it (hard decision 7).
 */
export function checkProofs({ keyArn }: LedgerAccess): Grant[] {
  const about = (...purposes: string[]): Grant['conditions'] => ({
    StringEquals: { [`kms:EncryptionContext:${SEAL.purpose}`]: purposes },
  });
  return [
    { actions: ['kms:Decrypt'], resources: [keyArn], conditions: about('acknowledgement', 'instance') ?? {} },
    { actions: ['kms:Encrypt'], resources: [keyArn], conditions: about('instance') ?? {} },
  ];
}

/** What an agent's role may call: the agent API, which knows by its role who it is; `more` are further routes of it. */
export function callAgentApi(apiId: string, more: readonly string[] = []): Grant[] {
  return [
    {
      actions: ['execute-api:Invoke'],
      resources: ['*/agents/*', ...more].map((path) => arn('execute-api', `${apiId}/$default/${path}`)),
      wildcard: 'Every route of this API begins so; the function tells agents apart by their roles.',
    },
  ];
}
