import * as z from 'zod';
import { RekeyError, throwAll } from '../../domain/errors.ts';
import { declarationErrors } from '../../domain/mistakes.ts';
import { inWords } from '../../domain/wording.ts';

const FORM = 'docs/cli.md has every field of a target';

/** PostgreSQL cuts longer identifiers off silently (NAMEDATALEN − 1), so longer ones are refused here. */
const MAX_IDENTIFIER_BYTES = 63;

const identifier = z
  .string()
  .min(1, 'must not be empty')
  .refine((name) => Buffer.byteLength(name) <= MAX_IDENTIFIER_BYTES, 'must not be longer than 63 bytes')
  .refine((name) => !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name), 'must not contain control characters');

const roleName = identifier.refine(
  (name) => !/^pg_/i.test(name) && !['public', 'none'].includes(name.toLowerCase()),
  'is a name that PostgreSQL reserves',
);

const verified = {
  mode: z.literal('verify-full'),
  ca: z
    .string()
    .includes('-----BEGIN CERTIFICATE-----', { message: 'must be a certificate in PEM form' })
    .optional(),
};
const plaintext = {
  mode: z.literal('disable'),
  reason: z.string().trim().min(1, 'must say why'),
};

const fields = {
  host: z
    .string()
    .min(1, 'must not be empty')
    .max(255)
    .regex(/^[A-Za-z0-9._:-]+$/, 'must be a host name or an IP address'),
  port: z.int().min(1).max(65535).default(5432),
  database: identifier,
  ownerRole: roleName.optional(),
  users: z.tuple([roleName, roleName]).optional(),
  connectionLimit: z.int().min(1).max(10_000).optional(),
  acceptNameUse: z.string().trim().min(1, 'must say why').optional(),
};

/** TLS is verified in full unless another mode is declared. */
function verifiedUnlessSaid(tls: unknown): unknown {
  if (tls === undefined) return { mode: 'verify-full' };
  return typeof tls === 'object' && tls !== null && !('mode' in tls) ? { mode: 'verify-full', ...tls } : tls;
}

/** As declared: an unknown field is a mistake. */
const declaredSchema = z.strictObject({
  ...fields,
  tls: z.preprocess(
    verifiedUnlessSaid,
    z.discriminatedUnion('mode', [z.strictObject(verified), z.strictObject(plaintext)]),
  ),
});

/** As the ledger has it: an unknown field is of a newer version, and no reason to refuse an emergency. */
const storedSchema = z.object({
  ...fields,
  tls: z
    .discriminatedUnion('mode', [z.object(verified), z.object(plaintext)])
    .default({ mode: 'verify-full' }),
});

/** Where a PostgreSQL credential lives. Not secret: it goes into the ledger. */
export interface PostgresTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** NOLOGIN role that holds every privilege; also what the credential is called at the database. */
  readonly ownerRole: string;
  /** The two login roles that take turns. Of an adopted credential one is the login that was there before. */
  readonly users: readonly [string, string];
  /**
   * Sessions that each user may have (CONNECTION LIMIT). Without it, a user that has no limit of its own gets one that
   * leaves the administrator some connections: a stolen login that takes them all would keep an emergency out. The
   * limit is carried from user to user like every other.
   */
  readonly connectionLimit?: number;
  /**
   * Why adoption may go on although something in the database goes by the login's name: who declares it has looked at
   * what the preflight found (dependencies.ts) and answers for it.
   */
  readonly acceptNameUse?: string;
  /** The two users administer: Rekey's own login there (`postgresql-master`). Their provider says so, no declaration. */
  readonly isMaster?: true;
  readonly tls:
    | { readonly mode: 'verify-full'; readonly ca?: string }
    /** Plaintext, only ever because the declaration says so and why. */
    | { readonly mode: 'disable'; readonly reason: string };
}

/**
 * RDS Proxy logs in with secrets of its own list of users, and hides who is behind a session: alternating users
 * don't work through it, and sessions seen at the database prove nothing (traps: Databases).
 */
export const RDS_PROXY = /\.proxy-[a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com(\.cn)?$/i;

/** Checks and completes a declared target. @throws RekeyError ERR_DECLARATION naming the field */
export function parseTarget(input: unknown): PostgresTarget {
  const target = completed(declaredSchema, input);
  const { host, ownerRole, users } = target;
  if (RDS_PROXY.test(host)) {
    throw declaration(
      'target.host',
      'is an RDS Proxy, which only knows the users that it was configured with and hides their sessions',
      "name the endpoint of the cluster or instance; through a proxy, alternating users can't be proven or ended",
    );
  }
  if (users[0] === users[1] || users.includes(ownerRole)) {
    throw declaration(
      'target.users',
      'must be two roles, both different from target.ownerRole',
      'rename one of them',
    );
  }
  return target;
}

/**
 * A target that was checked when it was declared, perhaps by another version (hard decision 6): what this version
 * doesn't know is left out, and rules that came later don't apply.
 * @throws RekeyError ERR_DECLARATION where what this version needs is missing
 */
export function readTarget(input: unknown): PostgresTarget {
  return completed(storedSchema, input);
}

function completed(schema: z.ZodType<z.infer<typeof declaredSchema>>, input: unknown): PostgresTarget {
  const parsed = schema.safeParse(input, { error: inWords });
  if (!parsed.success) throwAll(declarationErrors(parsed.error, 'target', FORM));
  const data = schema.parse(input);
  const { host, port, database, connectionLimit, acceptNameUse, tls } = data;
  return {
    host,
    port,
    database,
    ...rolesOf(data),
    ...(connectionLimit === undefined ? {} : { connectionLimit }),
    ...(acceptNameUse === undefined ? {} : { acceptNameUse }),
    tls: withoutUndefined(tls),
  };
}

/** Either is derived from the other: a login that exists names its pair, hence the owner role that it gets. */
function rolesOf({
  ownerRole,
  users,
}: z.infer<typeof declaredSchema>): Pick<PostgresTarget, 'ownerRole' | 'users'> {
  if (ownerRole !== undefined) return { ownerRole, users: users ?? derivedUsers(ownerRole) };
  if (users === undefined) {
    throw declaration(
      'target.ownerRole',
      'must be given where target.users is not',
      'name the role that both users shall inherit from; Rekey creates it where there is none',
    );
  }
  const derived = `${users[0]}_owner`;
  if (Buffer.byteLength(derived) <= MAX_IDENTIFIER_BYTES) return { ownerRole: derived, users };
  throw declaration(
    'target.ownerRole',
    'must be given, since the name derived from target.users is longer than 63 bytes',
    'name a role of at most 63 bytes; Rekey creates it where there is none',
  );
}

function derivedUsers(ownerRole: string): [string, string] {
  if (Buffer.byteLength(ownerRole) + 2 > MAX_IDENTIFIER_BYTES) {
    throw declaration(
      'target.users',
      'must be given, since the names derived from target.ownerRole are longer than 63 bytes',
      'name two users of at most 63 bytes each',
    );
  }
  return [`${ownerRole}_a`, `${ownerRole}_b`];
}

function withoutUndefined(declared: z.infer<typeof declaredSchema>['tls']): PostgresTarget['tls'] {
  if (declared.mode === 'disable') return declared;
  return declared.ca === undefined ? { mode: 'verify-full' } : { mode: 'verify-full', ca: declared.ca };
}

function declaration(field: string, problem: string, remedy: string): RekeyError {
  return new RekeyError('ERR_DECLARATION', `${field} ${problem}`, { field, remedy });
}
