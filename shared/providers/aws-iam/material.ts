import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { parseJson } from '../http/material.ts';
import { identityOf, type IamTarget } from './target.ts';

/** What agents read: the key, and whose it is. */
export interface IamMaterial {
  /** Absent in a secret that was adopted. */
  readonly user?: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const FORM = '{"accessKeyId": …, "secretAccessKey": …}';

/** How fields of the two parts are spelled: as Rekey does, as environments, credentials files and AWS's answers do. */
const SPELLINGS = [
  ['accessKeyId', 'secretAccessKey'],
  ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
  ['aws_access_key_id', 'aws_secret_access_key'],
  ['AccessKeyId', 'SecretAccessKey'],
] as const;

const secretSchema = z.record(z.string(), z.unknown());
const pairSchema = z.object({ id: z.string().regex(/^\w{16,128}$/), value: z.string().min(1) });

/** @throws RekeyError ERR_MATERIAL_MISMATCH naming the field, never quoting it */
export function parseMaterial(text: Redacted<string>): Redacted<IamMaterial> {
  return text.map((raw) => {
    const fields = parseJson(secretSchema, raw, 'the secret', undefined, FORM);
    const pairs = SPELLINGS.flatMap(([idField, valueField]) => {
      const { success, data } = pairSchema.safeParse({ id: fields[idField], value: fields[valueField] });
      return success ? [data] : [];
    });
    const [pair, other] = pairs;
    if (pair === undefined) throw refusal('accessKeyId', 'has no access key in it', `store it as ${FORM}`);
    if (other !== undefined && pairs.some(({ id, value }) => id !== pair.id || value !== pair.value)) {
      throw refusal('accessKeyId', 'has two access keys in it', 'leave one in it');
    }
    const { user } = fields;
    return {
      ...(typeof user === 'string' ? { user } : {}),
      accessKeyId: pair.id,
      secretAccessKey: pair.value,
    };
  });
}

/** The text that agents read; like `like`, the text so far, in all but the key. */
export function serializeMaterial(
  material: Redacted<IamMaterial>,
  like?: Redacted<string>,
): Redacted<string> {
  return material.map((next) => {
    if (like === undefined) return JSON.stringify(next);
    const fields = parseJson(secretSchema, like.reveal(), 'the secret', undefined, FORM);
    for (const [id, value] of SPELLINGS) {
      if (Object.hasOwn(fields, id)) fields[id] = next.accessKeyId;
      if (Object.hasOwn(fields, value)) fields[value] = next.secretAccessKey;
    }
    return JSON.stringify(fields);
  });
}

/** Refuses a material that is not of this user and key (confused deputy). What it doesn't say isn't held against it. */
export function assertBelongs(
  target: IamTarget,
  keyId: string | undefined,
  material: Redacted<IamMaterial>,
): void {
  const { user, accessKeyId } = material.reveal();
  const remedy = 'the secret was changed by another hand, or belongs to another credential; nothing was sent';
  if (user !== undefined && identityOf({ user }) !== identityOf(target)) {
    throw refusal('user', 'is of another user than the target', remedy);
  }
  if (keyId !== undefined && accessKeyId !== keyId) {
    throw refusal('accessKeyId', 'is another key than the ledger has', remedy);
  }
}

function refusal(field: string, problem: string, remedy: string): RekeyError {
  return new RekeyError('ERR_MATERIAL_MISMATCH', `the secret ${problem}`, { field, remedy });
}
