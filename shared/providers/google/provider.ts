import * as z from 'zod';
import type { AccountLogin } from '../google-cloud/account.ts';
import type { ApiKeyTarget } from '../google-cloud/api-key.ts';
import { apiKeyFields, apiKeys } from '../google-cloud/api-keys.ts';
import { ANYTHING } from '../http/api.ts';
import { keyProvider } from '../http/keys.ts';
import { targetOf } from '../http/target.ts';

const GEMINI = 'generativelanguage.googleapis.com';

/** Google: API keys of Google Cloud that may call Gemini. */
export const googleProvider = keyProvider<ApiKeyTarget, AccountLogin>({
  key: 'llm-key/google',
  name: 'Google',
  baseUrl: `https://${GEMINI}`,
  ...targetOf(apiKeyFields(GEMINI)),
  ...apiKeys,

  /** Lists models, which is free. */
  async test(api) {
    const answer = z.object({ models: z.array(ANYTHING) });
    await api.call({ method: 'GET', path: '/v1beta/models?pageSize=1', answer });
  },
});
