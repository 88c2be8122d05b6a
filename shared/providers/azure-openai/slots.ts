import { createHash } from 'node:crypto';
import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { nameOf, type Mark } from '../http/mark.ts';

type SlotName = 'Key1' | 'Key2';

/**
 * What a slot's tag says of it. It is written before the key changes, and names the value that there was then: by that
 * whoever comes later sees whether the change has happened.
 */
interface Tag {
  /** `made`: another value than `of` is the mark's. `ended`: `of` is the mark's, any other value is nobody's. */
  readonly state: 'made' | 'ended';
  /** Digest of the value. */
  readonly of: string;
  /** Of a key that was adopted: its label alone. */
  readonly mark: Mark;
}

/** One of the two places for a key. */
export interface Slot {
  readonly name: SlotName;
  readonly value: string;
  /** Whose it is, or was; absent where it is a stranger's. */
  readonly tag?: Tag;
  /** Whether somebody may use its value. */
  readonly live: boolean;
}

const TAG =
  /^(?<state>made|ended)\.(?<of>[0-9a-f]{16})\.(?<label>[a-z0-9-]{1,24})\.(?<generation>\d{1,9})\.(?<token>[A-Za-z0-9-]{0,36})$/;
const ID = /^(?<slot>Key[12])-(?<generation>\d{1,9})-(?<of>[0-9a-f]{16})$/;
const keysSchema = z.object({ key1: z.string().min(1), key2: z.string().min(1) });
const KEYS_API = 'api-version=2024-10-01';
const TAGS_API = 'api-version=2021-04-01';

/** Both slots of an account, by its path. */
export async function slotsOf(api: Api, account: string): Promise<Slot[]> {
  const keys = await api.call({
    method: 'POST',
    path: `${account}/listKeys?${KEYS_API}`,
    answer: keysSchema,
  });
  const answer = z.object({ properties: z.object({ tags: z.record(z.string(), z.string()).default({}) }) });
  const { properties } = await api.call({ method: 'GET', path: tagsOf(account), answer });
  return slotsIn(keys, properties.tags);
}

/** What keys and tags of an account say together. The second comes first: people use the other. */
export function slotsIn(
  keys: z.infer<typeof keysSchema>,
  tags: Readonly<Record<string, string>>,
): [Slot, Slot] {
  return [slotIn('Key2', keys, tags), slotIn('Key1', keys, tags)];
}

function slotIn(
  name: Slot['name'],
  keys: z.infer<typeof keysSchema>,
  tags: Readonly<Record<string, string>>,
): Slot {
  const value = valueIn(keys, name);
  const tag = tagIn(tags[tagName(name)] ?? '');
  if (tag === undefined) return { name, value, live: true };
  return { name, value, tag, live: (tag.of === digestOf(value)) === (tag.state === 'ended') };
}

/** Gives a slot another value, after its tag has said what for. Answers with the value. */
export async function regenerate(
  api: Api,
  account: string,
  { name: keyName, value }: Slot,
  { state, label, generation, token }: Mark & Pick<Tag, 'state'>,
): Promise<string> {
  const tags = { [tagName(keyName)]: [state, digestOf(value), label, generation, token].join('.') };
  const body = { operation: 'Merge', properties: { tags } };
  await api.call({ method: 'PATCH', path: tagsOf(account), body, answer: ANYTHING });
  const path = `${account}/regenerateKey?${KEYS_API}`;
  const next = valueIn(
    await api.call({ method: 'POST', path, body: { keyName }, answer: keysSchema }),
    keyName,
  );
  if (next !== value) return next;
  throw new RekeyError('ERR_UNAVAILABLE', `Azure still shows ${keyName} with the value that it replaces`, {
    remedy: 'it is tried again',
  });
}

/** The mark of a slot's key as a name; empty for a stranger's, or one that was adopted. */
export function nameIn({ tag }: Slot): string {
  return tag === undefined || tag.mark.token === '' ? '' : nameOf(tag.mark);
}

/**
 * The id of a slot's key. With its generation and a digest of its value, so that no other in the same slot is taken for it
 * (hard decision 2).
 */
export function idOf({ name, value, tag }: Slot, generation = tag?.mark.generation ?? 0): string {
  return `${name}-${generation}-${digestOf(value)}`;
}

/** Whether a slot holds that very key. */
export function holds({ name, value }: Slot, id: string): boolean {
  const { slot, of } = ID.exec(id)?.groups ?? {};
  return slot === name && of === digestOf(value);
}

/** Whether a slot holds another value of the same generation or an earlier one: somebody regenerated it by hand. */
export function isSuccessor({ name, tag, live }: Slot, id: string, label: string): boolean {
  const { slot, generation } = ID.exec(id)?.groups ?? {};
  if (slot !== name || !live || tag?.mark.label !== label) return false;
  return tag.mark.token !== '' && tag.mark.generation <= Number(generation);
}

function valueIn({ key1, key2 }: z.infer<typeof keysSchema>, name: SlotName): string {
  return name === 'Key1' ? key1 : key2;
}

function tagIn(text: string): Tag | undefined {
  const { state, of = '', label = '', generation, token = '' } = TAG.exec(text)?.groups ?? {};
  if (state !== 'made' && state !== 'ended') return undefined;
  return { state, of, mark: { label, generation: Number(generation), token } };
}

function tagName(name: SlotName): string {
  return `rekey-${name.toLowerCase()}`;
}

function tagsOf(account: string): string {
  return `${account}/providers/Microsoft.Resources/tags/default?${TAGS_API}`;
}

function digestOf(value: string): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 16);
}
