import * as z from 'zod';
import { instantIn } from '../../domain/clock.ts';
import { lastPart } from '../google-cloud/account.ts';
import type { AccountTarget } from '../google-cloud/key-file.ts';
import { LOOKS_MS } from '../google-cloud/operation.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { nameIn } from '../http/certificate.ts';
import type { UpstreamKey } from '../http/keys.ts';
import { trueSoon } from '../http/listing.ts';

/** A key as the IAM API shows it; its certificate only where it is asked for by its id. */
export const keySchema = z.object({
  name: z
    .string()
    .regex(/\/keys\/[^/]+$/)
    .transform(lastPart),
  keyOrigin: z.string().optional(),
  disabled: z.boolean().default(false),
  validAfterTime: z.string().optional(),
  publicKeyData: z.string().default(''),
});

/** Keys that people or Rekey made. One that Google made is nobody's of Rekey; of the others the certificate tells. */
export async function list(api: Api, target: AccountTarget): Promise<UpstreamKey[]> {
  const path = `${keysOf(target)}?keyTypes=USER_MANAGED`;
  const answer = z.object({ keys: z.array(keySchema).default([]) });
  const { keys } = await api.call({ method: 'GET', path, answer });
  const shown: UpstreamKey[] = [];
  for (const key of keys) {
    const found = key.keyOrigin === 'GOOGLE_PROVIDED' ? shownAs(key, '') : await find(api, target, key.name);
    if (found !== undefined) shown.push(found);
  }
  return shown;
}

/** A key with what its certificate tells. */
export async function find(api: Api, target: AccountTarget, id: string): Promise<UpstreamKey | undefined> {
  const path = `${pathOf(target, id)}?publicKeyType=TYPE_X509_PEM_FILE`;
  const key = await api.find({ method: 'GET', path, answer: keySchema });
  if (key === undefined) return undefined;
  return shownAs(key, nameIn(Buffer.from(key.publicKeyData, 'base64').toString(), target.label));
}

/** Deletes a key, and waits a moment until Google shows it; one that is gone is success. */
export async function remove(api: Api, target: AccountTarget, id: string): Promise<void> {
  await api.find({ method: 'DELETE', path: pathOf(target, id), answer: ANYTHING });
  await trueSoon(LOOKS_MS, async () => (await find(api, target, id)) === undefined);
}

/** Path of an account's keys. */
export function keysOf({ project, serviceAccount }: AccountTarget): string {
  return `/v1/projects/${encodeURIComponent(project)}/serviceAccounts/${encodeURIComponent(serviceAccount)}/keys`;
}

/** Path of a key. */
export function pathOf(target: AccountTarget, id: string): string {
  return `${keysOf(target)}/${encodeURIComponent(id)}`;
}

function shownAs(
  { name: id, disabled, validAfterTime }: z.infer<typeof keySchema>,
  name: string,
): UpstreamKey {
  return { id, name, active: !disabled, createdAt: instantIn(validAfterTime) };
}
