/**
 * Who may do what: the roles of people, and the routes of the control API that each may call. Infra makes the routes
 * and the policies of the roles from this one table (design: users' seats; hard decision 15).
 */

/**
 * `operator` rotates and changes what is declared, `responder` revokes in an emergency and stops what does harm,
 * `auditor` reads, the archive included. Whoever is more than one of them carries more than one policy.
 */
export const ROLES = ['operator', 'responder', 'auditor'] as const;
export type Role = (typeof ROLES)[number];

export interface ApiRoute {
  readonly method: 'GET' | 'POST';
  /** As API Gateway writes it: parameters in braces. */
  readonly path: string;
  readonly roles: readonly Role[];
}

const everyone = ROLES;

const TABLE = [
  { method: 'GET', path: '/v1/credentials', roles: everyone },
  { method: 'POST', path: '/v1/credentials', roles: ['operator'] },
  { method: 'GET', path: '/v1/credentials/{name}', roles: everyone },
  { method: 'POST', path: '/v1/credentials/{name}/pause', roles: ['operator', 'responder'] },
  { method: 'POST', path: '/v1/credentials/{name}/unpause', roles: ['operator'] },
  { method: 'POST', path: '/v1/credentials/{name}/unregister', roles: ['operator'] },
  { method: 'POST', path: '/v1/credentials/{name}/confirmations', roles: ['operator'] },
  { method: 'GET', path: '/v1/credentials/{name}/impact', roles: everyone },
  { method: 'GET', path: '/v1/credentials/{name}/uses', roles: everyone },
  { method: 'GET', path: '/v1/credentials/{name}/incidents/{incident}', roles: everyone },
  { method: 'POST', path: '/v1/credentials/{name}/rotations', roles: ['operator'] },
  { method: 'GET', path: '/v1/credentials/{name}/rotations/{id}', roles: everyone },
  {
    method: 'POST',
    path: '/v1/credentials/{name}/rotations/{id}/rollback',
    roles: ['operator', 'responder'],
  },
  { method: 'POST', path: '/v1/credentials/{name}/rotations/{id}/confirmations', roles: ['operator'] },
  {
    method: 'POST',
    path: '/v1/credentials/{name}/certificates/{serial}/revoke',
    roles: ['responder'],
  },
  { method: 'POST', path: '/v1/rotations', roles: ['operator'] },
  { method: 'POST', path: '/v1/agents/{agent}/decommission', roles: ['operator', 'responder'] },
  { method: 'POST', path: '/v1/emergencies', roles: ['responder'] },
  { method: 'GET', path: '/v1/emergencies/{id}', roles: everyone },
  { method: 'POST', path: '/v1/leaks', roles: ['responder'] },
  { method: 'POST', path: '/v1/signals', roles: ['responder'] },
  { method: 'GET', path: '/v1/held-signals', roles: everyone },
  { method: 'POST', path: '/v1/held-signals/{id}/approvals', roles: ['responder'] },
  { method: 'POST', path: '/v1/held-signals/{id}/denials', roles: ['responder'] },
  { method: 'GET', path: '/v1/pacts', roles: everyone },
  { method: 'POST', path: '/v1/pacts', roles: ['operator'] },
  { method: 'GET', path: '/v1/pacts/{agent}', roles: everyone },
  { method: 'GET', path: '/v1/families', roles: everyone },
  { method: 'POST', path: '/v1/families', roles: ['operator'] },
  { method: 'GET', path: '/v1/families/{name}', roles: everyone },
  { method: 'GET', path: '/v1/families/{name}/diagnosis', roles: everyone },
  { method: 'POST', path: '/v1/families/{name}/consent-requests', roles: ['operator'] },
  { method: 'POST', path: '/v1/families/{name}/consents', roles: ['operator'] },
  { method: 'POST', path: '/v1/families/{name}/refreshes', roles: ['operator'] },
  { method: 'POST', path: '/v1/families/{name}/revocations', roles: ['responder'] },
  { method: 'POST', path: '/v1/families/{name}/pause', roles: ['operator', 'responder'] },
  { method: 'POST', path: '/v1/families/{name}/unpause', roles: ['operator'] },
  { method: 'POST', path: '/v1/families/{name}/unregister', roles: ['operator'] },
  { method: 'GET', path: '/v1/plan', roles: everyone },
  { method: 'GET', path: '/v1/inventory', roles: ['operator', 'auditor'] },
  { method: 'GET', path: '/v1/subscriptions', roles: everyone },
  { method: 'POST', path: '/v1/subscriptions', roles: ['operator'] },
  { method: 'POST', path: '/v1/subscriptions/{id}/end', roles: ['operator'] },
  { method: 'GET', path: '/v1/audit', roles: everyone },
  { method: 'GET', path: '/v1/diagnosis', roles: everyone },
  { method: 'GET', path: '/v1/credentials/{name}/diagnosis', roles: everyone },
] as const satisfies readonly ApiRoute[];

type KeyOf<R> = R extends ApiRoute ? `${R['method']} ${R['path']}` : never;

/** A route by method and path, e.g. `GET /v1/audit`. */
export type RouteKey = KeyOf<(typeof TABLE)[number]>;

/** Every route of the control API. */
export const API_ROUTES: readonly (ApiRoute & { readonly key: RouteKey })[] = TABLE.map((route) => ({
  ...route,
  // TypeScript joins every method with every path here; these two are of one row.
  key: `${route.method} ${route.path}` as RouteKey,
}));

/** Tag on a person's principal that names their roles of a stage, e.g. `rekey:prod` = `operator+responder`. */
export function roleTag(stage: string): string {
  return `rekey:${stage}`;
}
