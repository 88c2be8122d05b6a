import { createHmac } from 'node:crypto';
import * as z from 'zod';
import { fromInstant, type Instant } from '../../domain/clock.ts';

/** The collection whose points are the tokens that live. Whoever may write to it could bring a revoked token back. */
export const TOKENS = 'rekey_tokens';

const RIGHTS = { read: 'r', 'read-write': 'rw' } as const;

/** Rights on one collection, or on all of them (`*`) to read. Strict also where stored: no restriction may be overlooked. */
const ruleSchema = z
  .strictObject({
    collection: z
      .string()
      .regex(/^(\*|[\w-]{1,255})$/, 'must be the name of a collection, or *')
      .refine(
        (name) => name !== TOKENS,
        `must not be ${TOKENS}: who writes there brings revoked tokens back`,
      ),
    access: z.enum(['read', 'read-write']),
  })
  .refine(({ collection, access }) => collection !== '*' || access === 'read', 'must be read for *');

/** What a token may do. Qdrant's own default is everything, hence there is none here. */
export const rulesSchema: z.ZodType<readonly Rule[]> = z
  .array(ruleSchema)
  .min(1)
  .max(20)
  .refine(isDistinct, 'must name each collection once, and * alone: it holds for all of them');
export type Rule = z.infer<typeof ruleSchema>;

/**
 * A token of Qdrant: a JWT (HS256) signed with the server's `api_key`, until `endsAt`. With `id` it is taken as long as
 * the point of that id is there, without it until it expires. Without `access` it could do everything.
 */
export function signed(
  {
    rules,
    id,
    subject,
  }: { readonly rules: readonly Rule[]; readonly id?: string; readonly subject?: string },
  apiKey: string,
  endsAt: Instant,
): string {
  const isGlobal = rules.some(({ collection }) => collection === '*');
  const claims = {
    exp: Math.floor(fromInstant(endsAt) / 1000),
    access: isGlobal ? 'r' : rules.map(({ collection, access }) => ({ collection, access: RIGHTS[access] })),
    ...(id === undefined
      ? {}
      : { value_exists: { collection: TOKENS, matches: [{ key: 'token', value: id }] } }),
    // Whom Qdrant's audit log names.
    subject,
  };
  const content = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded(claims)}`;
  return `${content}.${createHmac('sha256', apiKey).update(content).digest('base64url')}`;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function isDistinct(rules: readonly Rule[]): boolean {
  const names = new Set(rules.map(({ collection }) => collection));
  return names.size === rules.length && (names.size === 1 || !names.has('*'));
}
