import type { Loaders } from './loaders.ts';

/** Administrative credentials that Rekey itself uses (C9). */
export const PROVIDERS: Loaders = {
  'root/openai-admin': async () => (await import('../openai-admin/provider.ts')).openaiAdminProvider,
  'root/pinecone-service-account': async () =>
    (await import('../pinecone-service-account/provider.ts')).pineconeServiceAccountProvider,
  'root/by-hand': async () => (await import('../by-hand/provider.ts')).rootByHandProvider,
};
