import type { Loaders } from './loaders.ts';

/** For functions that serve all types: they meet no upstream, and have no right to log in to one. */
export const PROVIDERS: Loaders = {};
