const PARAM = /^[A-Za-z0-9._:@-]{1,256}$/;

/** A route as an API knows it: parameters in braces. */
interface KnownRoute<K extends string> {
  readonly method: string;
  readonly path: string;
  readonly key: K;
}

/** A request's path held against the routes of an API. */
export interface Matched<K extends string> {
  /** Absent where the path exists and the method doesn't. */
  readonly route?: K;
  /** Methods that the path knows. */
  readonly methods: readonly string[];
  /** Values of the parameters in the path, in its order. */
  readonly params: readonly string[];
}

/** The route of a request; undefined where no route has this path. */
export function matchRoute<K extends string>(
  routes: readonly KnownRoute<K>[],
  method: string,
  path: string,
): Matched<K> | undefined {
  const parts = path.split('/');
  const fitting = routes.filter((route) => paramsOf(route.path, parts) !== undefined);
  const [first] = fitting;
  if (first === undefined) return undefined;
  const route = fitting.find((each) => each.method === method);
  return {
    ...(route === undefined ? {} : { route: route.key }),
    methods: fitting.map((each) => each.method),
    params: paramsOf(first.path, parts) ?? [],
  };
}

function paramsOf(pattern: string, parts: readonly string[]): string[] | undefined {
  const wanted = pattern.split('/');
  if (wanted.length !== parts.length) return undefined;
  const isParam = (index: number): boolean => wanted[index]?.startsWith('{') === true;
  if (!parts.every((part, index) => isParam(index) || part === wanted[index])) return undefined;
  const params = parts.filter((_part, index) => isParam(index)).map(decoded);
  return params.every((param) => PARAM.test(param)) ? params : undefined;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}
