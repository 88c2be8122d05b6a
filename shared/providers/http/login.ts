import * as z from 'zod';
import type { Api, Call } from './api.ts';

/** What a call of an OAuth token endpoint has of its own. */
type TokenCall = Pick<Call<unknown>, 'path' | 'body' | 'form' | 'headers' | 'denied'>;

const GRANT = { grant_type: 'client_credentials' };

/** The header with a token for the credentials of a client. @throws RekeyError as `Api.call` */
export async function bearerOf(
  api: Api,
  { body, form, ...call }: TokenCall,
): Promise<{ authorization: string }> {
  const answer = z.object({ access_token: z.string().min(1) });
  const content = form === undefined ? { body: { ...GRANT, ...body } } : { form: { ...GRANT, ...form } };
  const { access_token: token } = await api.call({ method: 'POST', ...call, ...content, answer });
  return { authorization: `Bearer ${token}` };
}
