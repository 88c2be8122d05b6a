/**
 * Routes of the API that verifiers ask (docs/identities.md). Infra makes the routes from this table, the function answers
 * them. Public keys and trust bundles are for everybody; what is told of tokens is for callers known by IAM.
 */
const TABLE = [
  { method: 'GET', path: '/jwks/{set}', access: 'public' },
  { method: 'GET', path: '/bundles/{set}', access: 'public' },
  { method: 'GET', path: '/crl/{set}', access: 'public' },
  { method: 'GET', path: '/crl/{set}/{authority}', access: 'public' },
  { method: 'POST', path: '/ocsp/{set}', access: 'public' },
  { method: 'GET', path: '/ocsp/{set}/{request+}', access: 'public' },
  { method: 'GET', path: '/tokens/{set}', access: 'iam' },
  { method: 'POST', path: '/introspect', access: 'iam' },
] as const;

type KeyOf<R> = R extends { method: string; path: string } ? `${R['method']} ${R['path']}` : never;

/** A route by method and path, e.g. `GET /jwks/{set}`. */
export type DirectoryRouteKey = KeyOf<(typeof TABLE)[number]>;

/** Every route of the directory's API. */
export const DIRECTORY_ROUTES = TABLE.map((route) => ({
  ...route,
  // TypeScript joins every method with every path here; these two are of one row.
  key: `${route.method} ${route.path}` as DirectoryRouteKey,
}));
