import { fromInstant, toInstant, type Instant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';

/** A key as IAM lists it: it carries neither name nor tag. */
export interface AccessKey {
  readonly id: string;
  readonly active: boolean;
  readonly createdAt: Instant;
}

/** A tag of the user. */
export interface Tag {
  readonly key: string;
  readonly value: string;
}

/** What Rekey remembers of a key in a tag of its user. */
export interface Mark {
  readonly generation: number;
  readonly token: string;
}

/** That a key is about to be made, and what there was before. */
export interface Intent extends Mark {
  readonly at: Instant;
  readonly keys: readonly string[];
}

/** What the tags of a user say of its keys. */
export interface Marks {
  readonly byKey: ReadonlyMap<string, Mark>;
  readonly intent?: Intent;
}

/** A key of Rekey's own. */
export interface OwnKey {
  readonly key: AccessKey;
  readonly handle: CredentialHandle;
  /** False where only the intent tells: whoever made it died before the mark, so nobody has its value. */
  readonly marked: boolean;
}

/** Names of the tags that one kind of a user's keys is remembered by. */
export interface TagNames {
  /** Name of the tag that an intent is in. */
  readonly intent: string;
  /** What the name of a mark's tag begins with. */
  readonly key: string;
}

export const ACCESS_KEY_TAGS: TagNames = { intent: 'rekey:intent', key: 'rekey:key:' };
export const BEDROCK_KEY_TAGS: TagNames = { intent: 'rekey:bedrock-intent', key: 'rekey:bedrock-key:' };

const MARK_FORM = /^(\d{1,10})\/([A-Za-z0-9-]{32,64})$/;
const INTENT_FORM = /^(\d{1,10})\/([A-Za-z0-9-]{32,64})\/(\d{1,12})\/([\w+]*)$/;

/**
 * How far the clocks of IAM and of a function may be apart, and how long after the intent a key may come. Short: what a
 * person makes meanwhile looks the same.
 */
const SKEW_MS = 10_000;
const LATEST_MS = 30_000;

/** Refuses a token that would not come back out of a tag. @throws RekeyError ERR_PROTOCOL */
export function assertToken(token: string): void {
  if (MARK_FORM.test(`0/${token}`)) return;
  throw new RekeyError('ERR_PROTOCOL', 'a token has 32 to 64 letters, digits and hyphens', {
    field: 'ClientRequestToken',
    remedy: 'rotate with a token as Secrets Manager makes it, a UUID',
  });
}

/** Name of the tag that a key's mark is in. */
export function tagOf({ key }: TagNames, keyId: string): string {
  return `${key}${keyId}`;
}

/** The tag of a key. */
export function markTag(names: TagNames, keyId: string, { generation, token }: Mark): Tag {
  return { key: tagOf(names, keyId), value: `${generation}/${token}` };
}

/** The tag that says what is about to be made. */
export function intentTag(names: TagNames, { generation, token, at, keys }: Intent): Tag {
  const seconds = Math.floor(fromInstant(at) / 1000);
  return { key: names.intent, value: `${generation}/${token}/${seconds}/${keys.join('+')}` };
}

/** The same once the key is marked. In one call with the mark, so that an intent never outlives it. */
export function noIntent({ intent }: TagNames): Tag {
  return { key: intent, value: '' };
}

/** What Rekey's tags say; any other is somebody else's. */
export function readMarks(tags: readonly Tag[], names: TagNames = ACCESS_KEY_TAGS): Marks {
  const byKey = new Map<string, Mark>();
  let intent: Intent | undefined;
  for (const { key, value } of tags) {
    if (key === names.intent) intent = intentIn(value);
    const [, generation, token] = MARK_FORM.exec(value) ?? [];
    if (!key.startsWith(names.key) || generation === undefined || token === undefined) continue;
    byKey.set(key.slice(names.key.length), { generation: Number(generation), token });
  }
  return { byKey, ...(intent === undefined ? {} : { intent }) };
}

function intentIn(value: string): Intent | undefined {
  const [, generation, token, seconds, keys = ''] = INTENT_FORM.exec(value) ?? [];
  if (generation === undefined || token === undefined) return undefined;
  return {
    generation: Number(generation),
    token,
    at: toInstant(Number(seconds) * 1000),
    keys: keys.split('+').filter((id) => id !== ''),
  };
}

/**
 * Which of a user's keys are Rekey's own: those that are marked, and the one that came with the intent and isn't marked
 * yet. Where two may be that one, nobody can tell: they are `unclear`, and neither counts as own.
 */
export function ownKeys(
  keys: readonly AccessKey[],
  { byKey, intent }: Marks,
): { readonly own: readonly OwnKey[]; readonly unclear: readonly AccessKey[] } {
  const own = keys.flatMap((key): OwnKey[] => {
    const mark = byKey.get(key.id);
    return mark === undefined ? [] : [{ key, handle: { id: key.id, ...mark }, marked: true }];
  });
  if (intent === undefined) return { own, unclear: [] };
  const begun = keys.filter((key) => !byKey.has(key.id) && cameWith(intent, key));
  const [key] = begun;
  if (key === undefined || begun.length > 1) return { own, unclear: begun };
  const { generation, token } = intent;
  return { own: [...own, { key, handle: { id: key.id, generation, token }, marked: false }], unclear: [] };
}

function cameWith({ at, keys }: Intent, { id, createdAt }: AccessKey): boolean {
  const after = fromInstant(createdAt) - fromInstant(at);
  return !keys.includes(id) && after >= -SKEW_MS && after <= LATEST_MS;
}

/**
 * Tags of keys that are gone. A listing may not show yet what was just made, so those of the generation before the one
 * at hand stay.
 */
export function spentTags(
  keys: readonly AccessKey[],
  { byKey }: Marks,
  generation: number,
  names: TagNames = ACCESS_KEY_TAGS,
): string[] {
  return [...byKey]
    .filter(([id, mark]) => mark.generation < generation - 1 && !keys.some((key) => key.id === id))
    .map(([id]) => tagOf(names, id));
}
