import * as z from 'zod';
import { fingerprint } from '../../domain/fingerprint.ts';
import { rootSecretOf } from '../../domain/root-secret.ts';
import type { ProviderContext } from '../provider.ts';
import type { AgentSide } from './agent-side.ts';
import { Api } from './api.ts';
import { parseJson } from './material.ts';
import { assertPlace, type KeyTarget } from './target.ts';

/** How Rekey itself logs in to an upstream. */
export interface AdminLogin<T extends KeyTarget, A> {
  /** What the upstream is called in messages. */
  readonly name: string;
  /** Fields of the administrative secret, beside `baseUrl`. */
  readonly admin: z.ZodType<A>;
  /**
   * Headers of Rekey's own calls. `open` gives an API without a login, where a token has to be fetched first: `field` is
   * where its address is written.
   */
  adminHeaders(
    admin: A,
    target: T,
    open: (baseUrl: string, field: string) => Api,
  ): Record<string, string> | Promise<Record<string, string>>;
  /** Where Rekey's own calls go, if elsewhere than agents': as the administrative secret says, never a target. */
  adminUrl?(admin: A): string | undefined;
}

/** The API under Rekey's own login, and the secret that it came from. */
export interface AdminApi<A> {
  readonly api: Api;
  readonly admin: A;
  /** Fingerprint of the login, as a root's (docs/roots.md): whatever stands beside it in the secret may change. */
  readonly print: string;
}

/** Logs in under the administrative secret, which is sent nowhere else than it says itself. */
export async function logIn<T extends KeyTarget, A>(
  { name, ...login }: AdminLogin<T, A>,
  { page, usualUrl, baseUrlOf }: Pick<AgentSide<T>, 'page' | 'usualUrl' | 'baseUrlOf'>,
  target: T,
  ctx: ProviderContext,
): Promise<AdminApi<A>> {
  const open = (baseUrl: string, field: string, headers: Record<string, string> = {}): Api =>
    new Api({ name, page, baseUrl, reach: ctx.reach, caller: 'admin', headers, field });
  const secret = await ctx.admin();
  const says = `${page} describes it`;
  const place = z.object({ baseUrl: z.string().optional() });
  const what = 'the administrative secret';
  assertPlace(parseJson(place, secret.reveal(), what, 'admin', says), baseUrlOf(target), usualUrl(target));
  const admin = parseJson(login.admin, secret.reveal(), what, 'admin', says);
  const headers = await login.adminHeaders(admin, target, open);
  const elsewhere = login.adminUrl?.(admin);
  const api =
    elsewhere === undefined
      ? open(baseUrlOf(target), 'target.baseUrl', headers)
      : open(elsewhere, 'admin.adminUrl', headers);
  return { api, admin, print: fingerprint(secret.map(rootSecretOf)) };
}
