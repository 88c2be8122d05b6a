import { setTimeout as sleep } from 'node:timers/promises';
import { AwsClient } from 'aws4fetch';
import { writeDeclaration } from '../../local/demo/declaration.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import { localCredentials, localRegion } from '../../local/settings.ts';

export type Tell = (line: string) => void;

/** The deployed local stack, started when the first benchmark needs it. */
export class Stage {
  #world: Promise<World> | undefined;
  readonly #tell: Tell;

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  world(): Promise<World> {
    return (this.#world ??= startWorld(this.#tell));
  }

  /** Registers one credential. */
  async register(credential: object): Promise<void> {
    const { dir, env } = await this.world();
    await rekeyJson(['apply', '-f', await writeDeclaration(dir, [credential])], env);
  }

  async stop(): Promise<void> {
    const world = await this.#world?.catch(() => undefined);
    await world?.stop();
  }
}

const API_LIMIT_MS = 30_000;

/** A signed call of the control API, without the start of a process that the command line would add. */
export async function callApi<T>(world: World, method: string, path: string, body?: object): Promise<T> {
  const signer = new AwsClient({
    ...localCredentials,
    region: localRegion,
    service: 'execute-api',
    retries: 0,
  });
  const answer = await signer.fetch(`${world.env['REKEY_API_URL'] ?? ''}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(API_LIMIT_MS),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text) as T;
}

/** Asks again until `done`. @throws Error after the limit */
export async function until<T>(
  ask: () => Promise<T>,
  done: (answer: T) => boolean,
  limitMs: number,
  pauseMs = 200,
): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (done(answer)) return answer;
    if (Date.now() > end) throw new Error(`not done in ${limitMs / 1000} s`);
    await sleep(pauseMs);
  }
}
