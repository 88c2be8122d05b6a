import { RekeyError } from '../domain/errors.ts';
import { TABLE } from '../names.ts';
import { groups, keys, type Item } from './ledger-items.ts';

const LONGEST = 512;

/** Where a list of credentials goes on, for a caller to hand back: the last credential of the page before. */
export function encodePage(key: Item): string {
  const parts = [key[TABLE.pk], key[TABLE.indexSk]].map((part) => (part && 'S' in part ? part.S : ''));
  const [pk = '', name = ''] = parts;
  return Buffer.from(JSON.stringify([pk.slice(pk.lastIndexOf('#') + 1), name])).toString('base64url');
}

/**
 * The key after which the page begins. A caller may hand back anything: only id and name are taken from the token, so
 * that it can't lead to another tenant's, nor to a key that the table refuses.
 * @throws RekeyError ERR_REQUEST naming `page`
 */
export function decodePage(token: string, tenant: string): Item {
  const [id, name] = partsOf(token);
  return {
    ...keys.credential(tenant, id),
    [TABLE.indexPk]: { S: groups.credentials(tenant) },
    [TABLE.indexSk]: { S: name },
  };
}

/** The same for a list of pacts: the last agent of the page before. */
export function encodePactPage(key: Item): string {
  const part = key[TABLE.indexSk];
  return Buffer.from(JSON.stringify(['pact', part && 'S' in part ? part.S : ''])).toString('base64url');
}

/** @throws RekeyError ERR_REQUEST naming `page` */
export function decodePactPage(token: string, tenant: string): Item {
  const [, agent] = partsOf(token);
  return {
    ...keys.pact(tenant, agent),
    [TABLE.indexPk]: { S: groups.pacts(tenant) },
    [TABLE.indexSk]: { S: agent },
  };
}

function partsOf(token: string): [id: string, name: string] {
  let parts: unknown;
  try {
    parts = token.length <= LONGEST ? JSON.parse(Buffer.from(token, 'base64url').toString()) : undefined;
  } catch {
    // Refused below, like everything else that encodePage never makes.
  }
  if (Array.isArray(parts) && parts.length === 2) {
    const [id, name]: unknown[] = parts;
    if (isWord(id) && isWord(name)) return [id, name];
  }
  throw new RekeyError('ERR_REQUEST', 'the page token is not one that Rekey gave out', {
    field: 'page',
    remedy: 'pass the `next` of the answer before as it is, or leave `page` out to begin anew',
  });
}

/** Ids and names of credentials; an id is opaque, so that any word of a key is taken. */
function isWord(text: unknown): text is string {
  return typeof text === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(text);
}
