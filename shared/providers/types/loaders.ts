import type { AnyProvider } from '../provider.ts';

/**
 * Providers by type and name. Each is loaded when it is first used: a function that never meets an upstream carries
 * none, and the first call of an emergency goes out before a driver is loaded.
 */
export type Loaders = Readonly<Record<string, () => Promise<AnyProvider>>>;
