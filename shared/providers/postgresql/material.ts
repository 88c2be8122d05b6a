import { randomInt } from 'node:crypto';
import * as z from 'zod';
import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import { Redacted } from '../../domain/redacted.ts';
import { readSecretJson } from '../secret-json.ts';
import type { PostgresTarget } from './target.ts';

const portNumber = z.int().min(1).max(65535);

/**
 * What agents read: the shape that Secrets Manager uses for RDS, so that existing drivers and templates take it
 * (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html). A secret that was adopted
 * may lack what the target says anyway, write the port as text, and have keys of its own, which Rekey leaves alone.
 */
const schema = z.object({
  engine: z.enum(['postgres', 'postgresql', 'aurora-postgresql']).optional(),
  host: z.string().min(1).optional(),
  port: z
    .union([
      portNumber,
      z
        .string()
        .regex(/^\d{1,5}$/)
        .transform(Number)
        .pipe(portNumber),
    ])
    .optional(),
  dbname: z.string().min(1).optional(),
  username: z.string().min(1),
  password: z.string().min(1),
  sslmode: z.enum(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']).optional(),
});

export type PostgresMaterial = Readonly<z.infer<typeof schema>>;

/** Letters and digits only: safe in every connection string, needs no SASLprep; 62^40 is 238 bits. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const PASSWORD_LENGTH = 40;

export function newPassword(): string {
  return Array.from({ length: PASSWORD_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

/** The material of `username` at `target`. */
export function newMaterial(target: PostgresTarget, username: string): Redacted<PostgresMaterial> {
  return new Redacted({
    engine: 'postgres',
    host: target.host,
    port: target.port,
    dbname: target.database,
    username,
    password: newPassword(),
    sslmode: target.tls.mode,
  });
}

/** @throws RekeyError ERR_MATERIAL_MISMATCH naming the field, never quoting it */
export function parseMaterial(text: Redacted<string>): Redacted<PostgresMaterial> {
  return text.map((json) => {
    const material = parseJson(schema, json, 'the secret');
    assertSaidOnce(JSON.parse(json) as object, material.password);
    return material;
  });
}

/** A connection string beside the password would keep the old one when the secret is rotated. */
function assertSaidOnce(keys: object, password: string): void {
  if (password.length < 8) return; // also a word that anything may hold
  const again = Object.entries(keys).find(([key, value]) => {
    const text = JSON.stringify(value);
    return !(key in schema.shape) && (text.includes(password) || text.includes(encodeURIComponent(password)));
  });
  if (again === undefined) return;
  throw new RekeyError('ERR_MATERIAL_MISMATCH', `the secret holds the password again, in "${again[0]}"`, {
    field: again[0],
    remedy: 'let agents read username and password, and take this key out of the secret',
  });
}

/**
 * The text that agents read. Like `like`, the secret's text so far, in every key but the user's name and password; else
 * with a fixed order of keys, so that the same material always gives the same text.
 */
export function serializeMaterial(
  material: Redacted<PostgresMaterial>,
  like?: Redacted<string>,
): Redacted<string> {
  if (like !== undefined) {
    // Checked first, so that what isn't a login at all is refused rather than carried on.
    parseMaterial(like);
    return like.map((json) => {
      const { username, password } = material.reveal();
      return JSON.stringify({ ...(JSON.parse(json) as object), username, password });
    });
  }
  return material.map(({ engine, host, port, dbname, username, password, sslmode }) =>
    JSON.stringify({
      engine,
      host,
      port,
      dbname,
      username,
      password,
      ...(sslmode === undefined ? {} : { sslmode }),
    }),
  );
}

/** Refuses a material that is not of this target and slot (confused deputy). */
export function assertMaterialBelongs(
  target: PostgresTarget,
  handle: CredentialHandle,
  material: Redacted<PostgresMaterial>,
): void {
  const found = material.reveal();
  const problem = (
    [
      // Names of hosts don't depend on case; what a secret doesn't say, the target does.
      ['host', (found.host ?? target.host).toLowerCase(), target.host.toLowerCase()],
      ['port', found.port ?? target.port, target.port],
      ['dbname', found.dbname ?? target.database, target.database],
      ['username', found.username, handle.id],
      // How strictly agents check the server is theirs to say; plaintext only where the target says so as well.
      ['sslmode', (found.sslmode ?? target.tls.mode) === 'disable', target.tls.mode === 'disable'],
    ] as const
  ).find(([, actual, expected]) => actual !== expected);
  if (problem !== undefined) {
    throw new RekeyError('ERR_MATERIAL_MISMATCH', `the secret's ${problem[0]} is not that of the target`, {
      field: problem[0],
      remedy:
        'the secret was changed by another hand, or belongs to another credential; nothing was sent there',
    });
  }
  assertSlot(target, handle);
}

/** Refuses a handle that is none of the target's users. */
export function assertSlot(target: PostgresTarget, handle: CredentialHandle): void {
  if (target.users.includes(handle.id)) return;
  throw new RekeyError('ERR_MATERIAL_MISMATCH', `"${handle.id}" is none of the target's users`, {
    field: 'target.users',
    remedy: 'register the credential again where its users were renamed',
  });
}

/** The JSON of a secret in the form of `shape`; a refusal never quotes it. */
export function parseJson<T>(shape: z.ZodType<T>, json: string, what: string, field?: string): T {
  const found = readSecretJson(shape, json);
  if ('data' in found) return found.data;
  const { path } = found;
  const where = path === '' ? '' : ` (at "${path}")`;
  throw new RekeyError('ERR_MATERIAL_MISMATCH', `${what} is not the JSON of a PostgreSQL login${where}`, {
    field: field ?? (path === '' ? 'secret' : path),
    remedy:
      'store it as Secrets Manager does for RDS: {"username":…,"password":…,"host":…,"port":…,"dbname":…}',
  });
}
