import { capabilitiesOf } from './capabilities.ts';
import type { Credential } from './credential.ts';
import { ROOT_TYPES } from '../names.ts';
import type { Holder } from './holders.ts';
import type { PolicyLimits } from './policy.ts';

/** The type of the administrative credentials that Rekey itself uses (C9), but for those of databases. */
const ROOT_TYPE = 'root';

/** The type of those that administer databases. */
const DATABASE_ROOT_TYPE = 'database-root';

/** Whether a type is one of Rekey's own administrative credentials. */
export function isRoot(type: string): boolean {
  return ROOT_TYPES.some((each) => each === type);
}

/** The type of a root, which follows from its provider: nobody declares it. */
export function rootTypeOf(provider: string): string {
  return capabilitiesOf(DATABASE_ROOT_TYPE, provider) === undefined ? ROOT_TYPE : DATABASE_ROOT_TYPE;
}

/** The provider of roots that a person replaces. */
export const BY_HAND = 'by-hand';

/** What Rekey is called among the holders of its own administrative credentials. */
export const REKEY_HOLDER = 'rekey';

/** Rekey's functions read an administrative secret when they start, and run five minutes at most. */
const LONGEST_RUN_SECONDS = 300;

/** Rekey as a holder of a root. Only the local stage, whose windows are short, has it hold a value for less. */
export function rekeyAsHolder({ minWindowSeconds }: PolicyLimits = {}): Holder {
  const ttlSeconds =
    minWindowSeconds === undefined
      ? LONGEST_RUN_SECONDS
      : Math.min(LONGEST_RUN_SECONDS, Math.max(1, Math.floor(minWindowSeconds / 2)));
  return { kind: 'polling', name: REKEY_HOLDER, ttlSeconds };
}

/** Whether a person replaces it, by a date: a root that Rekey only observes. */
export function isTask({ type, mode }: Pick<Credential, 'type' | 'mode'>): boolean {
  return isRoot(type) && mode === 'observe';
}

/** Whether a credential is its own administrative login: once it is revoked, nothing can make its successor. */
export function isOwnLogin({
  adminSecret,
  secretName,
  secretArn,
}: Pick<Credential, 'adminSecret' | 'secretName' | 'secretArn'>): boolean {
  return adminSecret !== undefined && isSecret(adminSecret, { name: secretName, arn: secretArn });
}

/** As much of a credential as tells which administrative secret it uses, and which it is. */
export interface Administered {
  readonly name: string;
  readonly type: string;
  readonly provider?: string | undefined;
  /** Name or ARN of its administrative secret; empty where it has none. */
  readonly admin: string;
  readonly secret: { readonly name: string; readonly arn?: string | undefined };
}

/** Whether `admin`, a name or an ARN (without the service's own characters at its end, too), means this secret. */
export function isSecret(admin: string, { name, arn }: Administered['secret']): boolean {
  return [name, arn, arn?.slice(0, -'-AbCdEf'.length)].includes(admin) || nameInArn(admin) === name;
}

/** A name in an ARN ends before the service's own six characters. */
function nameInArn(arn: string): string | undefined {
  return /^arn:[^:]*:secretsmanager:[^:]*:[^:]*:secret:(.+)-[^-]{6}$/.exec(arn)?.[1];
}

/** What the names of secrets begin with that RDS makes, and rotates itself: nobody else may. */
const OF_RDS = 'rds!';

/** Where Rekey neither makes nor ends a key, the secret has nothing but keys that wait, and is no root. */
function isPool(type: string, provider = ''): boolean {
  const facts = capabilitiesOf(type, provider);
  return !isRoot(type) && facts?.canCreate === false && facts.revocation === 'manual';
}

/** Administrative secrets that registered credentials use and nobody has declared as a root, with who uses them. */
export function undeclaredRoots(
  all: readonly Administered[],
): { readonly secret: string; readonly usedBy: readonly string[] }[] {
  const roots = all.filter(({ type }) => isRoot(type));
  const used = new Map<string, string[]>();
  for (const { admin, name, type, provider } of all) {
    if (admin === '' || isPool(type, provider) || roots.some(({ secret }) => isSecret(admin, secret)))
      continue;
    const known = nameInArn(admin) ?? admin;
    if (known.startsWith(OF_RDS)) continue;
    used.set(known, [...(used.get(known) ?? []), name]);
  }
  return [...used].map(([secret, usedBy]) => ({ secret, usedBy: usedBy.toSorted() }));
}

/** Who else can't be rotated while this root doesn't work. */
export function dependantsOf({ secret, name }: Administered, all: readonly Administered[]): string[] {
  return all
    .filter((each) => each.admin !== '' && each.name !== name && isSecret(each.admin, secret))
    .map((each) => each.name)
    .toSorted();
}

/** So many names are told. */
const TOLD = 5;

/** Names in words, of many the first. */
export function someOf(names: readonly string[]): string {
  const rest = names.length > TOLD ? ` and ${names.length - TOLD} more` : '';
  return `${names.slice(0, TOLD).join(', ')}${rest}`;
}
