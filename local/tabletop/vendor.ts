import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { TAG } from '../../shared/names.ts';
import { FakeOpenAi } from '../../test/fakes/openai.ts';
import type { LocalStack } from '../stack.ts';

/** What its keys are. */
export const KIND = { type: 'llm-key', provider: 'openai' } as const;

const ADMIN = 'agents/admin/vendor';

/** A stand-in for a vendor of models, with whoever calls it. */
export class Vendor implements AsyncDisposable {
  readonly #fake: FakeOpenAi;
  readonly #vault: SecretsManagerClient;
  readonly #ended = new AbortController();
  readonly #callers: Promise<void>[] = [];

  private constructor(fake: FakeOpenAi, vault: SecretsManagerClient) {
    this.#fake = fake;
    this.#vault = vault;
  }

  /** Starts it and stores its administrative key, as a person would. */
  static async start(stack: LocalStack): Promise<Vendor> {
    const vendor = new Vendor(await FakeOpenAi.start(), new SecretsManagerClient(stack.clientConfig));
    const { adminKey } = vendor.#fake;
    await vendor.#vault.send(
      new CreateSecretCommand({
        Name: ADMIN,
        SecretString: JSON.stringify({ adminKey, baseUrl: vendor.#baseUrl }),
        Tags: [{ Key: TAG.admin, Value: KIND.type }],
      }),
    );
    return vendor;
  }

  get #baseUrl(): string {
    return `${this.#fake.server.url}/v1`;
  }

  /** A key of it, as a team declares it, that so many agents share. */
  keyOf(name: string, agents: number): object {
    return {
      name,
      ...KIND,
      secret: `agents/${name}`,
      admin: ADMIN,
      target: { project: 'proj_1', serviceAccount: `sa_${name}`, label: name, baseUrl: this.#baseUrl },
      policy: { interval: '1d', window: '20s', deadline: '90s', cap: '5m', evidenceOfUse: 'holders' },
      holders: [{ kind: 'polling', name: `${name}-agents`, ttl: '2s', agents }],
    };
  }

  /** The key that agents have at this moment. */
  async keyIn(name: string): Promise<string> {
    const found = await this.#vault.send(new GetSecretValueCommand({ SecretId: `agents/${name}` }));
    return (JSON.parse(found.SecretString ?? '{}') as { apiKey?: string }).apiKey ?? '';
  }

  /** Whether it answers to a key: what anybody sees who has it. */
  async takes(key: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${key}` };
    const { status } = await fetch(`${this.#baseUrl}/models`, { headers });
    return status === 200;
  }

  /** Whoever has a copy of a key and calls without pause; when they were answered last, and how often. */
  thief(key: string): { calls: number; lastAt: number } {
    const seen = { calls: 0, lastAt: 0 };
    this.#run(async () => {
      if (await this.takes(key)) Object.assign(seen, { calls: seen.calls + 1, lastAt: Date.now() });
      await sleep(25);
    });
    return seen;
  }

  /** An agent that polls: it reads its secret again every two seconds, and at once after a refusal. */
  agent(name: string): { done: number; refused: number; key: string } {
    const seen = { done: 0, refused: 0, key: '' };
    let readAt = 0;
    this.#run(async () => {
      if (Date.now() - readAt > 2000) {
        seen.key = await this.keyIn(name);
        readAt = Date.now();
      }
      if (await this.takes(seen.key)) seen.done++;
      else {
        seen.refused++;
        readAt = 0;
        await sleep(250);
      }
      await sleep(100);
    });
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await Promise.allSettled(this.#callers);
    this.#vault.destroy();
    await this.#fake[Symbol.asyncDispose]();
  }

  #run(round: () => Promise<void>): void {
    const { signal } = this.#ended;
    const running = async (): Promise<void> => {
      while (!signal.aborted) await round();
    };
    const caller = running();
    // A failure is met where everything ends.
    caller.catch(() => undefined);
    this.#callers.push(caller);
  }
}
