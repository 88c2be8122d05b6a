import type { Loaders } from './loaders.ts';

/** Keys of vector databases (C8). */
export const PROVIDERS: Loaders = {
  'vector-database-key/pinecone': async () => (await import('../pinecone/provider.ts')).pineconeProvider,
};
