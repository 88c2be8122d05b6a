import type { LocalStack } from '../../../local/stack.ts';
import type { FaultRule } from '../../../local/gateway/faults.ts';
import type { World } from '../../../local/demo/world.ts';
import { VARIANTS, type Variant } from '../../../scripts/upstream-run.ts';
import type { ProviderKey } from '../../../shared/domain/capabilities.ts';
import type { JwksMaterial } from '../../../shared/providers/jwks/material.ts';
import type { Asked, FakeKeys, UpstreamServer } from '../../fakes/upstream.ts';
import type { ExistingKey } from '../adopted-keys.ts';

/** Whether a fault that was set has happened by now. */
export type Happened = () => boolean;

/** An upstream that the deployed functions rotate keys of, played by its stateful fake. */
export interface PlayedUpstream extends AsyncDisposable {
  /** Type and provider, as the table of upstreams has them. */
  readonly key: ProviderKey;
  /** What it has otherwise than the one of its type and provider that has none: a row of the table of its own. */
  readonly variant?: Variant;
  /** Type, provider, target and policy of a declaration's entry. */
  readonly entry: { readonly type: string; readonly provider: string; readonly target: object };
  /** The administrative secret, where one is needed. */
  readonly admin?: object;
  /** The role that its agents run as, where Rekey has to know them. */
  readonly principal?: string;
  /** What its policy has otherwise than that of all. */
  readonly policy?: object;
  /** Another that works as well, made by a person; where a test replaces it by hand. */
  newAdmin?(): object;
  /** Of a root: the value of its secret, which exists before Rekey. */
  readonly root?: object;
  /** It tells of a use at once, and rightly takes one within a window for a straggler. */
  readonly tellsUseAtOnce?: boolean;
  /** Plays the person who ends keys at the console, by what they are told; where nobody else can. */
  endByHand?(byHand: string): Promise<void>;
  /** Whether a value of the secret is taken, asked as an agent would. */
  takes(secret: string): Promise<boolean>;
  /** Of keys that sign: signs a token as its agent does. */
  readonly sign?: (material: JwksMaterial, lifeSeconds?: number) => Promise<string>;
  /** Of authorities that AWS has: the list of what the one of a secret has revoked, in PEM. */
  listOf?(secret: string): Promise<string>;
  /** Loses the answer to the next request that makes a key; the key is made. */
  loseCreation(): Happened;
  /** Makes a key as a person does, beside those of the credential; where such keys are adopted. */
  existing?(): Promise<ExistingKey>;
  /** How many keys of the credential live, spare ones of a pool left out. */
  live(): Promise<number>;
}

/** What it is declared as. */
export function nameOf({ key, variant }: Pick<PlayedUpstream, 'key' | 'variant'>): string {
  return [key.replace('/', '-'), ...(variant === undefined ? [] : [VARIANTS[variant].name])].join('-');
}

/** The one of a type and provider. @throws Error where it isn't played */
export function playedAs(key: ProviderKey, upstreams: readonly PlayedUpstream[]): PlayedUpstream {
  const one = upstreams.find((each) => each.key === key);
  if (one === undefined) throw new Error(`${key} is not played`);
  return one;
}

/** Starts an upstream of its own for a world. */
export type Play = (world: World) => Promise<PlayedUpstream>;

/** What tells an upstream from the others, where a fake plays all of it. */
interface Part extends Omit<PlayedUpstream, 'entry' | 'loseCreation' | 'live' | typeof Symbol.asyncDispose> {
  readonly fake: AsyncDisposable & { readonly server: UpstreamServer; readonly keys: FakeKeys };
  readonly target: object;
  /** Whether a request makes a key. */
  readonly creates: (asked: Asked) => boolean;
  /** How many keys of the credential live; all that the fake has, if it isn't said. */
  readonly live?: () => number;
}

/** An upstream that is its fake, its target and its administrative secret. */
export function played({ fake, target, creates, live, ...rest }: Part): PlayedUpstream {
  return {
    ...rest,
    entry: entryOf(rest.key, target),
    loseCreation: () => fake.server.fail({ kind: 'lost' }, creates),
    live: async () => Promise.resolve(live?.() ?? fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** The entry of a declaration, without what all have. */
export function entryOf(key: ProviderKey, target: object): PlayedUpstream['entry'] {
  const [type = '', provider = ''] = key.split('/');
  return { type, provider, target };
}

/** A request that makes a key, by how its path ends. */
export function posts(end: string | RegExp): (asked: Asked) => boolean {
  return ({ method, path }) =>
    method === 'POST' && (typeof end === 'string' ? path.endsWith(end) : end.test(path));
}

/** Loses the answer to the next such call to AWS; the call is made. */
export function loseAnswer({ gateway }: LocalStack, match: NonNullable<FaultRule['match']>): Happened {
  const rule: FaultRule = { match, times: 1, action: { kind: 'lose-answer' } };
  gateway.faults.add(rule);
  return () => gateway.faults.list().some((each) => each.rule === rule && each.applied > 0);
}

/** The key that a secret holds. */
export function keyIn(secret: string): string {
  return (JSON.parse(secret) as { apiKey: string }).apiKey;
}

/** Asks as an agent with the key of a secret would: true where it is taken. */
export function takenAt(
  url: string,
  headers: (key: string) => Readonly<Record<string, string>> = bearer,
  method: 'GET' | 'POST' = 'GET',
): PlayedUpstream['takes'] {
  return async (secret) => (await fetch(url, { method, headers: headers(keyIn(secret)) })).ok;
}

function bearer(key: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${key}` };
}
