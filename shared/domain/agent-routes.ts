/** Routes of the agent API (docs/agents.md). Infra makes the routes from this table, the function answers them. */
const TABLE = [
  { method: 'PUT', path: '/agents/{agent}/pact' },
  { method: 'POST', path: '/agents/{agent}/sessions' },
  { method: 'POST', path: '/agents/{agent}/sessions/{session}/heartbeat' },
  { method: 'GET', path: '/agents/{agent}/sessions/{session}/notices' },
  { method: 'POST', path: '/agents/{agent}/sessions/{session}/challenges' },
  { method: 'POST', path: '/agents/{agent}/sessions/{session}/acknowledgements' },
  { method: 'POST', path: '/agents/{agent}/sessions/{session}/uses' },
  { method: 'POST', path: '/agents/{agent}/sessions/{session}/close' },
] as const;

/** Who asks for a certificate is known by its role alone; a function of its own answers, which may use authorities' keys. */
const ISSUING = [{ method: 'POST', path: '/certificates' }] as const;

type KeyOf<R> = R extends { method: string; path: string } ? `${R['method']} ${R['path']}` : never;

/** A route by method and path, e.g. `PUT /agents/{agent}/pact`. */
export type AgentRouteKey = KeyOf<(typeof TABLE)[number]>;

/** The route that issues certificates. */
export type IssuingRouteKey = KeyOf<(typeof ISSUING)[number]>;

/** Every route of the agent API that every deployment has. */
export const AGENT_ROUTES = TABLE.map((route) => ({
  ...route,
  // TypeScript joins every method with every path here; these two are of one row.
  key: `${route.method} ${route.path}` as AgentRouteKey,
}));

/** Those that only a deployment with certificate authorities has. */
export const ISSUING_ROUTES = ISSUING.map((route) => ({
  ...route,
  key: `${route.method} ${route.path}` as IssuingRouteKey,
}));
