import * as z from 'zod';

/** RFC 3339. */
export const instant = z.string();
/** Why somebody did it; stands in the audit trail. */
export const reason = z.string().min(1, 'say why').max(1000);

/** What operators call an incident. */
export const incident = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'use letters, digits, dots, underscores and hyphens, at most 64',
  );

/** A calendar day in UTC. */
export const day = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}$/, 'write a date as YYYY-MM-DD')
  .refine((text) => isRealDay(text), 'there is no such day');

function isRealDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00.000Z`);
  return Number.isFinite(time) && new Date(time).toISOString().startsWith(text);
}

/** The query of `GET /v1/credentials` and of `GET /v1/plan` */
export const listQuery = z.strictObject({ page: z.string().max(4096).optional() });

/** Names a credential at its upstream; not secret. */
export const handle = z.object({ id: z.string(), generation: z.number() });

/** A key by what may be known of it. */
export const keyView = z.object({
  fingerprint: z.string(),
  handle,
  /** Version of the secret that carries it. */
  version: z.string(),
  issuedAt: instant,
});
export type KeyView = z.infer<typeof keyView>;

/** What somebody has to do at an upstream that lets only a person end a key. */
export const operatorView = z.object({
  since: instant,
  /** What to do, and where. */
  byHand: z.string(),
});

/** Since when something stands still, who wants it so, and why. */
export const pauseView = z.object({ since: instant, actor: z.string(), reason: z.string() });

/** Something about a policy that somebody should look at. */
export const finding = z.object({
  /** The same for the same finding. */
  key: z.string(),
  text: z.string(),
});

/** Somebody who was seen to read a secret, or is logged in with it, held against the declared holders. */
export const readerView = z.object({
  kind: z.string(),
  /** ARN of a role, a user or an account; an AWS service; of a session the user at the source. */
  principal: z.string(),
  /** Of a function, or what a session calls itself. */
  name: z.string().optional(),
  /** Where a session came from last. */
  address: z.string().optional(),
  /** Where it came from, at most 20. Absent in answers of older deployments, and where the source shows none. */
  addresses: z
    .array(z.object({ address: z.string(), firstSeen: instant, lastSeen: instant }))
    .readonly()
    .optional(),
  /** It came from more than are kept. */
  addressesLost: z.boolean().optional(),
  /** The version that it asked for, where that isn't the current one. */
  version: z.string().optional(),
  firstSeen: instant,
  /** To the hour. */
  lastSeen: instant,
  /** Name of the holder that it is. */
  declaredAs: z.string().optional(),
  /** An entry for `holders`, where it is none; `<…>` stands for what only its owner knows. */
  proposal: z.record(z.string(), z.string()).optional(),
  /** It used what the rotation under way ends, after its window had opened. */
  onLoser: z.boolean().optional(),
});
export type ReaderView = z.infer<typeof readerView>;
