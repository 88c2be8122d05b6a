import * as z from 'zod';
import { toInstant } from '../../domain/clock.ts';
import { pause } from '../../http/exchange.ts';
import { LOOKS_MS } from '../google/operation.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import type { UpstreamKey } from '../http/keys.ts';
import type { KeyTarget } from '../http/target.ts';
import { nameIn } from './certificate.ts';

/** Whose keys. */
export interface AccountTarget extends KeyTarget {
  readonly project: string;
  readonly serviceAccount: string;
}

/** A key as the IAM API shows it; its certificate only where it is asked for by its id. */
export const keySchema = z.object({
  name: z.string().regex(/\/keys\/[^/]+$/),
  keyOrigin: z.string().optional(),
  disabled: z.boolean().default(false),
  validAfterTime: z.string().optional(),
  publicKeyData: z.string().default(''),
});
type AccountKey = z.infer<typeof keySchema>;

/** Keys that people or Rekey made. One that Google made is nobody's of Rekey; of the others the certificate tells. */
export async function list(api: Api, target: AccountTarget): Promise<UpstreamKey[]> {
  const path = `${keysOf(target)}?keyTypes=USER_MANAGED`;
  const answer = z.object({ keys: z.array(keySchema).default([]) });
  const { keys } = await api.call({ method: 'GET', path, answer });
  const shown: UpstreamKey[] = [];
  for (const key of keys) {
    const found = key.keyOrigin === 'GOOGLE_PROVIDED' ? shownAs(key, '') : await find(api, target, idOf(key));
    if (found !== undefined) shown.push(found);
  }
  return shown;
}

/** A key with what its certificate tells. */
export async function find(api: Api, target: AccountTarget, id: string): Promise<UpstreamKey | undefined> {
  const path = `${pathOf(target, id)}?publicKeyType=TYPE_X509_PEM_FILE`;
  const key = await api.find({ method: 'GET', path, answer: keySchema });
  if (key === undefined) return undefined;
  const certificate = Buffer.from(key.publicKeyData, 'base64').toString();
  return shownAs(key, certificate === '' ? '' : nameIn(certificate, target.label));
}

/** Deletes a key; one that is gone is success. */
export async function remove(api: Api, target: AccountTarget, id: string): Promise<void> {
  await api.find({ method: 'DELETE', path: pathOf(target, id), answer: ANYTHING });
  await shows(api, target, id, (key) => key === undefined);
}

/** Waits a moment until Google shows a change; whoever comes next looks himself. */
export async function shows(
  api: Api,
  target: AccountTarget,
  id: string,
  isDone: (key: UpstreamKey | undefined) => boolean,
): Promise<void> {
  for (const waitMs of LOOKS_MS) {
    if (isDone(await find(api, target, id))) return;
    await pause(waitMs);
  }
}

/** Path of an account's keys. */
export function keysOf({ project, serviceAccount }: AccountTarget): string {
  return `/v1/projects/${encodeURIComponent(project)}/serviceAccounts/${encodeURIComponent(serviceAccount)}/keys`;
}

/** Path of a key. */
export function pathOf(target: AccountTarget, id: string): string {
  return `${keysOf(target)}/${encodeURIComponent(id)}`;
}

/** The id in a key's name. */
export function idOf({ name }: AccountKey): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

function shownAs(key: AccountKey, name: string): UpstreamKey {
  const ms = Date.parse(key.validAfterTime ?? '');
  const createdAt = Number.isNaN(ms) ? {} : { createdAt: toInstant(ms) };
  return { id: idOf(key), name, active: !key.disabled, ...createdAt };
}
