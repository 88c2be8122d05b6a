import type { Loaders } from './loaders.ts';

/** Bearer tokens of agents (C7). */
export const PROVIDERS: Loaders = {
  'agent-token/opaque': async () => (await import('../opaque/provider.ts')).opaqueProvider,
};
