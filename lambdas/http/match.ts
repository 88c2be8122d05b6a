const PARAM = /^[A-Za-z0-9._:@-]{1,256}$/;

/** What `{name+}` takes, slashes included: base64 in a path. */
const REST = /^[A-Za-z0-9+/=_-]{1,1024}$/;

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
  const last = wanted.length - 1;
  const isRest = wanted[last]?.endsWith('+}') === true;
  if (isRest ? parts.length < wanted.length : parts.length !== wanted.length) return undefined;
  const given = isRest ? [...parts.slice(0, last), parts.slice(last).join('/')] : parts;
  const isParam = (index: number): boolean => wanted[index]?.startsWith('{') === true;
  if (!given.every((part, index) => isParam(index) || part === wanted[index])) return undefined;
  const params = given.filter((_part, index) => isParam(index)).map(decoded);
  const ok = (param: string, index: number): boolean =>
    (isRest && index === params.length - 1 ? REST : PARAM).test(param);
  return params.every(ok) ? params : undefined;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}
