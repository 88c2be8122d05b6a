import type { Loaders } from './loaders.ts';

/** Keys of vector databases (C8). */
export const PROVIDERS: Loaders = {
  'vector-database-key/pinecone': async () => (await import('../pinecone/provider.ts')).pineconeProvider,
  'vector-database-key/weaviate': async () => (await import('../weaviate/provider.ts')).weaviateProvider,
  'vector-database-key/chroma-cloud': async () =>
    (await import('../chroma-cloud/provider.ts')).chromaCloudProvider,
  'vector-database-key/qdrant-cloud': async () =>
    (await import('../qdrant-cloud/provider.ts')).qdrantCloudProvider,
  'vector-database-key/qdrant': async () => (await import('../qdrant/provider.ts')).qdrantProvider,
  'vector-database-key/qdrant-static': async () =>
    (await import('../qdrant-static/provider.ts')).qdrantStaticProvider,
  'vector-database-key/chroma': async () => (await import('../chroma/provider.ts')).chromaProvider,
};
