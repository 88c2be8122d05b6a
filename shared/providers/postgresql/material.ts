import { randomInt } from 'node:crypto';
import * as z from 'zod';
import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import { Redacted } from '../../domain/redacted.ts';
import type { PostgresTarget } from './target.ts';

/** What agents read: the shape that Secrets Manager uses for RDS, so that existing drivers and templates take it. */
const schema = z.strictObject({
  engine: z.literal('postgres'),
  host: z.string().min(1),
  port: z.int().min(1).max(65535),
  dbname: z.string().min(1),
  username: z.string().min(1),
  password: z.string().min(1),
  sslmode: z.enum(['verify-full', 'disable']).optional(),
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
  return text.map((json) => parseJson(schema, json, 'the secret'));
}

/** Fixed order of keys, so that the same material always gives the same text. */
export function serializeMaterial(material: Redacted<PostgresMaterial>): Redacted<string> {
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
      ['host', found.host, target.host],
      ['port', found.port, target.port],
      ['dbname', found.dbname, target.database],
      ['username', found.username, handle.id],
      ['sslmode', found.sslmode ?? target.tls.mode, target.tls.mode],
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
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // The parser's message quotes the text.
    value = undefined;
  }
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  const path = parsed.error.issues[0]?.path.join('.') ?? '';
  const where = path === '' ? '' : ` (at "${path}")`;
  throw new RekeyError('ERR_MATERIAL_MISMATCH', `${what} is not the JSON of a PostgreSQL login${where}`, {
    field: field ?? (path === '' ? 'secret' : path),
    remedy:
      'store it as Secrets Manager does for RDS: {"username":…,"password":…,"host":…,"port":…,"dbname":…}',
  });
}
