import * as z from 'zod';
import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import { isKeyField } from '../../domain/key-forms.ts';
import { readSecretJson } from '../secret-json.ts';
import type { Redacted } from '../../domain/redacted.ts';

/**
 * What agents read: the key, and what tells whose it is. A secret that was adopted may be the bare key, or have it among
 * fields of its own.
 */
const schema = z.object({
  apiKey: z.string().min(1),
  /** The upstream's id of the key. */
  apiKeyId: z.string().min(1).optional(),
  /** The provider's `identity` of the target. */
  of: z.string().min(1).optional(),
  /** Where the upstream isn't at its provider's usual address. */
  baseUrl: z.string().min(1).optional(),
  /** What a login needs beside the key, by the names of the secret's fields. */
  beside: z.record(z.string(), z.string()).optional(),
});

/** The same, where a person has called the field otherwise. */
const renamedSchema = z.preprocess((value) => {
  const field = isFields(value) ? fieldOf(value) : undefined;
  return field === undefined ? value : { ...(value as object), apiKey: (value as Fields)[field] };
}, schema);

type Fields = Readonly<Record<string, unknown>>;

export type KeyMaterial = Readonly<z.infer<typeof schema>>;

/** How a secret spells a key that is nothing without what stands beside it, e.g. `{"clientId": …, "clientSecret": …}`. */
export interface KeyForm {
  /** Name of the key's field. */
  readonly key: string;
  /** Name of the field with the upstream's id of it. */
  readonly id: string;
  /** Names of the fields beside it. */
  readonly beside: readonly string[];
  /** True where the secret says for itself that it may be sent to the host of `baseUrl` alone (`allowedHosts`). */
  readonly pinned?: true;
}

/** Shorter texts are no key of any provider; a bare one has neither spaces nor quotes. */
const BARE = /^[!-~]{8,4096}$/;

/** @throws RekeyError ERR_MATERIAL_MISMATCH naming the field, never quoting it */
export function parseKey(text: Redacted<string>): Redacted<KeyMaterial> {
  return text.map((raw) => {
    const trimmed = raw.trim();
    if (BARE.test(trimmed) && !/^["[{]/.test(trimmed)) return { apiKey: trimmed };
    return parseJson(renamedSchema, raw, 'the secret', undefined, '{"apiKey": …}, or the key alone');
  });
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The field that holds the key; of several that may none is taken for it. */
function fieldOf(fields: Fields): string | undefined {
  if ('apiKey' in fields) return 'apiKey';
  const [field, another] = Object.keys(fields).filter(isKeyField);
  return another === undefined ? field : undefined;
}

/** The text that agents read; like `like`, the text so far, in all but the key. */
export function serializeKey(material: Redacted<KeyMaterial>, like?: Redacted<string>): Redacted<string> {
  if (like === undefined) return material.map((key) => JSON.stringify(key));
  const former = parseKey(like).reveal();
  return like.map((raw) => {
    const { apiKey, apiKeyId } = material.reveal();
    if (!raw.trim().startsWith('{')) return raw.replace(former.apiKey, () => apiKey);
    const fields = JSON.parse(raw) as Fields;
    const hadId = former.apiKeyId !== undefined;
    return JSON.stringify({
      ...fields,
      [fieldOf(fields) ?? 'apiKey']: apiKey,
      ...(hadId ? { apiKeyId } : {}),
    });
  });
}

/** The same of a secret in a form of its own. @throws RekeyError ERR_MATERIAL_MISMATCH naming the field, never quoting it */
export function parseForm(text: Redacted<string>, form: KeyForm): Redacted<KeyMaterial> {
  const { key, id, beside } = form;
  const optional = z.string().min(1).optional();
  const shape = z.object({
    [key]: z.string().min(1),
    ...Object.fromEntries([id, 'of', 'baseUrl', ...beside].map((name) => [name, optional])),
  });
  return text.map((raw) => {
    const names = [key, ...beside].map((name) => `"${name}": …`).join(', ');
    const fields = parseJson(shape, raw, 'the secret', undefined, `{${names}}`);
    const { [key]: apiKey = '', [id]: apiKeyId, of, baseUrl } = fields;
    const found = beside.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]]]));
    return {
      apiKey,
      beside: Object.fromEntries(found) as Record<string, string>,
      ...(apiKeyId === undefined ? {} : { apiKeyId }),
      ...(of === undefined ? {} : { of }),
      ...(baseUrl === undefined ? {} : { baseUrl }),
    };
  });
}

/** The text in a form of its own; like `like`, the text so far, in all but the key. */
export function serializeForm(
  material: Redacted<KeyMaterial>,
  form: KeyForm,
  like?: Redacted<string>,
): Redacted<string> {
  const { apiKey, apiKeyId, beside, ...rest } = material.reveal();
  const key = { [form.key]: apiKey, ...(apiKeyId === undefined ? {} : { [form.id]: apiKeyId }) };
  return material.map(() => {
    if (like === undefined) return JSON.stringify({ ...beside, ...key, ...rest, ...pinOf(form, rest) });
    const former = JSON.parse(like.reveal()) as object;
    return JSON.stringify({ ...former, ...(Object.hasOwn(former, form.id) ? key : { [form.key]: apiKey }) });
  });
}

function pinOf({ pinned }: KeyForm, { baseUrl }: Pick<KeyMaterial, 'baseUrl'>): object {
  if (pinned === undefined || baseUrl === undefined) return {};
  return { allowedHosts: [new URL(baseUrl).hostname.replace(/^\[|\]$/g, '')] };
}

/** Refuses a material that is not of this target and handle (confused deputy). What it doesn't say isn't held against it. */
export function assertKeyBelongs(
  expected: {
    readonly of: string;
    readonly handle?: CredentialHandle;
    readonly beside?: Readonly<Record<string, string>>;
  },
  material: Redacted<KeyMaterial>,
): void {
  const { of, apiKeyId, beside = {} } = material.reveal();
  const wrong = Object.entries(expected.beside ?? {}).find(
    ([name, value]) => (beside[name] ?? value) !== value,
  );
  const field =
    wrong?.[0] ??
    (of !== undefined && of !== expected.of
      ? 'of'
      : apiKeyId !== undefined && expected.handle !== undefined && apiKeyId !== expected.handle.id
        ? 'apiKeyId'
        : undefined);
  if (field === undefined) return;
  throw new RekeyError('ERR_MATERIAL_MISMATCH', `the secret's ${field} is not that of the target`, {
    field,
    remedy:
      'the secret was changed by another hand, or belongs to another credential; nothing was sent there',
  });
}

/** The JSON of a secret in the form of `shape`; a refusal never quotes it. */
export function parseJson<T>(
  shape: z.ZodType<T>,
  json: string,
  what: string,
  field: string | undefined,
  form: string,
): T {
  const found = readSecretJson(shape, json);
  if ('data' in found) return found.data;
  const { path } = found;
  throw new RekeyError(
    'ERR_MATERIAL_MISMATCH',
    `${what} has another form than it should${path === '' ? '' : ` (at "${path}")`}`,
    { field: field ?? (path === '' ? 'secret' : path), remedy: `store it as ${form}` },
  );
}
