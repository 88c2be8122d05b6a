import * as z from 'zod';
import { isDistinct, printOf } from './pool.ts';
import { upstreamId } from './target.ts';

const entry = z.object({
  /** What the key is called at the upstream's console. */
  id: upstreamId.max(128),
  value: z.string().regex(/^[!-~]{8,4096}$/),
  /** Something uses it already: it may be adopted, and is never taken. */
  inUse: z.boolean().optional(),
});

/** An administrative secret that is nothing but a pool. */
export const poolSecretSchema = z.object({
  baseUrl: z.string().optional(),
  pool: z
    .array(entry)
    .refine(isDistinct)
    .transform((pool) => pool.map(withPrint)),
});

/** A key that a person has made and put into a pool. */
export interface PoolEntry extends z.infer<typeof entry> {
  /** Fingerprint of the value, by which it is claimed. */
  readonly print: string;
  /** Its handle's id: what it is called, and how its fingerprint begins, so that no value is taken for another. */
  readonly handleId: string;
}

/** Enough of a fingerprint to tell the keys of a pool apart. */
const PRINT_LENGTH = 12;

function withPrint(each: z.infer<typeof entry>): PoolEntry {
  const print = printOf(each);
  return { ...each, print, handleId: handleIdOf(each.id, print) };
}

/** The id of the handle of a key that is called so. */
export function handleIdOf(name: string, print: string): string {
  return `${name}.${beginOf(print)}`;
}

function beginOf(print: string): string {
  return print.replace('sha256:', '').slice(0, PRINT_LENGTH);
}

/** How the fingerprint of a handle's key begins. */
function printIn(handleId: string): string {
  return handleId.slice(handleId.lastIndexOf('.') + 1);
}

/** Whether a handle is of the value with that fingerprint, whatever its key is called by now. */
export function isOfHandle({ print }: Pick<PoolEntry, 'print'>, handleId: string): boolean {
  return printIn(handleId) === beginOf(print);
}

/** What the key of a handle is called at the console. */
export function namedAs(handleId: string): string {
  return handleId.slice(0, handleId.lastIndexOf('.'));
}

/** What a person does to end a key. */
export function endByHand(console: string, handleId: string): string {
  return (
    `delete the key "${namedAs(handleId)}" at ${console} (${handleId}: the SHA-256 of its value begins with ${printIn(handleId)}), ` +
    'and leave its entry in the pool until Rekey has seen that it is refused'
  );
}
