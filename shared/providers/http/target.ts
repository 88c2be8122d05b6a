import * as z from 'zod';
import { RekeyError, throwAll } from '../../domain/errors.ts';
import { declarationErrors } from '../../domain/mistakes.ts';
import { inWords } from '../../domain/wording.ts';
import { LABEL } from './mark.ts';

/** What the targets of all keys have. Not secret: it goes into the ledger. */
export interface KeyTarget {
  /** What the credential's keys are called at the upstream; unique below what owns them there. */
  readonly label: string;
  /** Where the upstream isn't at its provider's usual address. */
  readonly baseUrl?: string | undefined;
  /** Of a key that is adopted: its id at the upstream, where that shows too little of it to tell. */
  readonly keyId?: string | undefined;
}

/** An address that a target has to name: its upstream has no usual one. */
export const ownBaseUrl = z.url('must be the address of an API').max(512);

/** An id of an upstream, which stands in a path. */
export const upstreamId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@:-]{0,254}$/, 'must be an id as the upstream writes it');

/**
 * Refuses an id of an upstream that is more than a word: it stands in what a person types to end a key.
 * @throws RekeyError ERR_REJECTED, without the id
 */
export function assertWord(upstream: string, id: string): void {
  if (upstreamId.safeParse(id).success) return;
  throw new RekeyError('ERR_REJECTED', `${upstream} calls a key by an id that is more than a word`, {
    field: 'target',
    remedy: 'look whether the API has changed, or who answers at this address',
  });
}

/** One or more of something, each named once. */
export function distinct<T extends string>(item: z.ZodType<T>, what: string): z.ZodArray<z.ZodType<T>> {
  return z
    .array(item)
    .min(1)
    .refine((items) => new Set(items).size === items.length, `must name each ${what} once`);
}

const common = {
  label: z.string().regex(LABEL, 'must be 1 to 24 small letters, digits and hyphens'),
  keyId: upstreamId.optional(),
  baseUrl: ownBaseUrl.optional(),
};

/** How a target is read, declared (an unknown field is a mistake) and stored (of a newer version). */
export interface TargetForm<T> {
  /** `page` is where its fields are described. */
  target(input: unknown, page: string): T;
  storedTarget(input: unknown): T;
}

/** The form of a provider's targets, beside what those of all keys have. */
export function targetOf<S extends z.ZodRawShape>(shape: S): TargetForm<KeyTarget & z.infer<z.ZodObject<S>>> {
  return formOf({ ...common, ...shape });
}

/** The same where keys have no name, so that nothing is called by a label. */
export function unlabelledTargetOf<S extends z.ZodRawShape>(
  shape: S,
): TargetForm<Pick<KeyTarget, 'baseUrl'> & z.infer<z.ZodObject<S>>> {
  return formOf({ baseUrl: common.baseUrl, ...shape });
}

/** The form of targets that have these fields and no others. */
export function formOf<T>(fields: z.ZodRawShape): TargetForm<T> {
  const read = (schema: z.ZodType, input: unknown, form: string): T => {
    const parsed = schema.safeParse(input, { error: inWords });
    if (!parsed.success) throwAll(declarationErrors(parsed.error, 'target', form));
    // Zod can't say the type of a shape that is spread; the schema is the one above.
    return withoutUndefined(parsed.data as object) as T;
  };
  return {
    target: (input, page) => read(z.strictObject(fields), input, `${page} has every field of a target`),
    storedTarget: (input) => read(z.object(fields), input, 'register the credential again'),
  };
}

function withoutUndefined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/**
 * Refuses a target that the administrative secret isn't for: otherwise whoever may declare one could have the login sent
 * to a host of his own. A secret without `baseUrl` is for the provider's usual address, where there is one.
 * @throws RekeyError ERR_DECLARATION
 */
export function assertPlace(
  admin: { readonly baseUrl?: string | undefined },
  target: string,
  usual: string | undefined,
): void {
  if (sameOrigin(admin.baseUrl ?? usual ?? '', target)) return;
  throw new RekeyError(
    'ERR_DECLARATION',
    'the administrative secret is not for the address of this target; nothing was sent there',
    { field: 'target.baseUrl', remedy: 'declare the address that the secret names as its baseUrl' },
  );
}

function sameOrigin(one: string, other: string): boolean {
  return URL.canParse(one) && URL.canParse(other) && new URL(one).origin === new URL(other).origin;
}
