import * as z from 'zod';
import { instant, readerView } from './common.ts';

/** The query of `GET /v1/inventory` */
export const inventoryQuery = z.strictObject({
  /** What the names of the secrets begin with. */
  prefix: z.string().min(1).max(512).optional(),
  page: z.string().max(4096).optional(),
});

/** `GET /v1/inventory`: secrets of the account, with the form of their values where that may be looked at. */
export const inventoryAnswer = z.object({
  secrets: z.array(
    z.object({
      name: z.string(),
      arn: z.string(),
      tags: z.record(z.string(), z.string()),
      registered: z.boolean(),
      owningService: z.string().optional(),
      rotationFunction: z.string().optional(),
      lastAccessed: instant.optional(),
      lastChanged: instant.optional(),
      /** Who was seen to read it. Absent in answers of older deployments, and where it can't be proposed. */
      readers: z.array(readerView).optional(),
      shape: z.discriminatedUnion('kind', [
        z.object({
          kind: z.literal('json'),
          keys: z.array(z.string()),
          engine: z.string().optional(),
          host: z.string().optional(),
          port: z.number().optional(),
          database: z.string().optional(),
          username: z.string().optional(),
          /** Fields with keys in them, by the form of those. Absent in answers of older deployments. */
          forms: z
            .array(z.object({ field: z.string(), form: z.string() }))
            .readonly()
            .optional(),
        }),
        z.object({ kind: z.literal('text'), form: z.string().optional() }),
        z.object({ kind: z.literal('unknown'), why: z.string() }),
      ]),
    }),
  ),
  /** The `page` of the next request; absent at the end. */
  next: z.string().optional(),
});
export type InventoryAnswer = z.infer<typeof inventoryAnswer>;
