import canonicalize from 'canonicalize';

/**
 * What is secret in the administrative secrets of all providers. Whatever stands beside it (an address, a pool, the user) may
 * change without the root having been replaced.
 */
const SECRET_FIELDS = [
  'adminKey',
  'managementKey',
  'apiKey',
  'clientSecret',
  'private_key',
  'password',
  'hookToken',
  'keySeeds',
] as const;

/** The secret itself in the text of an administrative secret, so that the same one in other words is no other. */
export function rootSecretOf(text: string): string {
  const fields = jsonOf(text);
  if (fields === undefined) return text.trim();
  const found = SECRET_FIELDS.flatMap((name) =>
    Object.hasOwn(fields, name) ? [secretIn(fields[name])] : [],
  );
  const [only, another] = found;
  if (typeof only === 'string' && another === undefined) return only;
  return canonicalize(found.length === 0 ? fields : found) ?? text;
}

/** Whether an administrative secret is nothing but keys that wait: it lets nobody make or end another. */
export function isPoolAlone(text: string): boolean {
  const fields = jsonOf(text);
  return fields?.['pool'] !== undefined && !SECRET_FIELDS.some((name) => Object.hasOwn(fields, name));
}

/** Of a list, such as `keySeeds`, the first is in use; those behind it go once nothing needs them. */
function secretIn(value: unknown): unknown {
  return Array.isArray(value) ? (value as unknown[])[0] : value;
}

function jsonOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
    return undefined;
  } catch {
    return undefined;
  }
}
