import type * as z from 'zod';

/** The JSON of a secret in the form of `shape`, or the path of what is wrong with it. Neither quotes the text. */
export function readSecretJson<T>(
  shape: z.ZodType<T>,
  json: string,
): { readonly data: T } | { readonly path: string } {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // The parser's message quotes the text.
    value = undefined;
  }
  const parsed = shape.safeParse(value);
  return parsed.success ? { data: parsed.data } : { path: parsed.error.issues[0]?.path.join('.') ?? '' };
}
