import type { Overlap } from '../provider.ts';

/** Two users take turns. */
export const OVERLAP: Overlap = { kind: 'dual', maxLive: 2 };
