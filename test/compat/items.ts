import { documentOf, text, type Item } from '../../shared/adapters/ledger-items.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { Rotation } from '../../shared/domain/rotation.ts';
import { TABLE } from '../../shared/names.ts';
import { TABLE_NAME } from '../support/engine-case.ts';

interface Transaction {
  readonly TransactItems?: readonly { readonly Put?: { readonly Item: Item } }[];
}

/** Keeps the first item of each state that is written through `aws` from now on, by its description. */
export function keepStates(aws: AwsCalls): Map<string, Item> {
  const states = new Map<string, Item>();
  const json = aws.json.bind(aws);
  aws.json = async <Output>(...[service, operation, input, options]: Parameters<AwsCalls['json']>) => {
    const answer = await json<Output>(service, operation, input, options);
    for (const { Put } of (input as Transaction).TransactItems ?? []) {
      const name = Put === undefined ? undefined : stateOf(Put.Item);
      if (Put !== undefined && name !== undefined && !states.has(name)) states.set(name, Put.Item);
    }
    return answer;
  };
  return states;
}

/** What an item is about, in words; undefined for audit records, which are kept with the whole tables. */
function stateOf(item: Item): string | undefined {
  const sk = text(item, TABLE.sk) ?? '';
  if (sk === 'HEAD') {
    const { status, mode, adoption, incident, activeRotation } = documentOf<Credential>(item);
    return [
      `head: ${status}, ${mode}`,
      ...(adoption === undefined ? [] : [adoption]),
      ...(incident === undefined ? [] : [`emergency ${incident.stage}`]),
      ...(activeRotation === undefined ? [] : ['rotating']),
    ].join(', ');
  }
  if (sk.startsWith('ROT#')) {
    const { phase, loser, trigger, stuck, holderEvidence } = documentOf<Rotation>(item);
    return [
      `rotation: ${phase} by ${trigger.kind}`,
      ...(loser === 'next' ? ['on the way back'] : []),
      ...(stuck === true ? ['stuck'] : []),
      ...(holderEvidence === undefined ? [] : ['with evidence of holders']),
    ].join(', ');
  }
  if (sk === 'DUE') return text(item, TABLE.indexSk) === undefined ? 'calendar: nothing to come' : 'calendar';
  return sk === 'LOCK' ? `reservation: ${(text(item, TABLE.pk) ?? '').split('#')[1] ?? ''}` : undefined;
}

/** Every item of a tenant. */
export async function itemsOf(aws: AwsCalls, tenant: string): Promise<Item[]> {
  const { Items = [] } = await aws.json<{ Items?: Item[] }>('dynamodb', 'Scan', {
    TableName: TABLE_NAME,
    FilterExpression: `begins_with(${TABLE.pk}, :t)`,
    ExpressionAttributeValues: { ':t': { S: `${tenant}#` } },
  });
  const key = (item: Item): string => `${text(item, TABLE.pk)} ${text(item, TABLE.sk)}`;
  return Items.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Writes items as they are. */
export async function putItems(aws: AwsCalls, table: string, items: readonly Item[]): Promise<void> {
  for (const item of items) await aws.json('dynamodb', 'PutItem', { TableName: table, Item: item });
}
