import * as z from 'zod';
import type { Api, Call } from './api.ts';

/** What a call of an OAuth token endpoint has of its own. */
type TokenCall = Pick<Call<unknown>, 'path' | 'body' | 'form' | 'headers' | 'denied'>;

/** The header with a token that a login gives. @throws RekeyError as `Api.call` */
export async function bearerOf(api: Api, call: TokenCall): Promise<{ authorization: string }> {
  const answer = z.object({ access_token: z.string().min(1) });
  const { access_token: token } = await api.call({ method: 'POST', ...call, answer });
  return { authorization: `Bearer ${token}` };
}
