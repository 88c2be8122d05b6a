// Sources of signals for the local stack: a stand-in for GitHub, and what it and a SIEM share with Rekey.
import { createHmac, randomBytes } from 'node:crypto';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { OUTPUT } from '../shared/names.ts';
import { FakeGithub, type Delivery } from '../test/fakes/github.ts';
import type { World } from './demo/world.ts';
import type { LocalStack } from './stack.ts';

/** How a source was answered. */
export interface Answered {
  readonly status: number;
  readonly body: string;
}

/** How much signals do on a local stack without a person, where it isn't the default. */
export type Caps = Readonly<
  Partial<Record<'maxCredentials' | 'maxAgents' | 'perHour' | 'breakGlassMinutes', number>>
>;

type Shared = Readonly<Record<'github' | 'siem', string>>;

/** Sources beside a local stack, which they have to be started with: its settings name what they share. */
export class LocalSources implements AsyncDisposable {
  readonly github: FakeGithub;
  /** For `startWorld`. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly #shared: Shared;

  private constructor(github: FakeGithub, shared: Shared, settings: LocalSources['settings']) {
    this.github = github;
    this.#shared = shared;
    this.settings = settings;
  }

  /** Starts the stand-in and stores the secrets, as docs/signals.md says. */
  static async start(stack: LocalStack, caps: Caps): Promise<LocalSources> {
    const [token, ofGithub, ofSiem] = [made(), made(), made()];
    const github = await FakeGithub.start(token);
    const { url } = github.server;
    const client = new SecretsManagerClient(stack.clientConfig);
    const store = async (name: string, SecretString: string): Promise<string> =>
      (await client.send(new CreateSecretCommand({ Name: `sources/${name}`, SecretString }))).ARN ?? '';
    const secretArn = await store('github-webhook', ofGithub);
    const tokenSecretArn = await store('github-token', token);
    const signals = {
      github: { secretArn, tokenSecretArn, apiUrl: url },
      'github-partner': { keysUrl: `${url}/meta/public_keys/secret_scanning` },
      siem: { secretArn: await store('siem', ofSiem) },
      ...caps,
    };
    client.destroy();
    const shared = { github: ofGithub, siem: ofSiem };
    return new LocalSources(github, shared, { signals, privateUpstreams: ['127.0.0.1'] });
  }

  /** GitHub finds a value in a repository, and its webhook says so. */
  found(repository: string, value: string, validity: 'active' | 'unknown' = 'active'): Delivery {
    const alert = this.github.found(repository, value);
    alert.validity = validity;
    return this.github.webhook(alert, this.#shared.github);
  }

  /** The signals of a SIEM, signed now. */
  siem(signals: readonly object[]): Delivery {
    const body = JSON.stringify({ signals });
    const at = String(Math.floor(Date.now() / 1000));
    const hmac = createHmac('sha256', this.#shared.siem).update(`${at}.${body}`).digest('hex');
    return { headers: { 'x-rekey-timestamp': at, 'x-rekey-signature': `sha256=${hmac}` }, body };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.github[Symbol.asyncDispose]();
  }
}

/** Delivers what a source has signed to the deployed intake. */
export async function deliver(
  world: World,
  source: 'github' | 'github-partner' | 'siem',
  { headers, body }: Delivery,
): Promise<Answered> {
  const apiId = /([a-z0-9]+)\.execute-api/.exec(world.output(OUTPUT.signalsUrl))?.[1] ?? '';
  const answer = await fetch(`${world.stack.apiUrl(apiId)}/signals/${source}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: answer.status, body: await answer.text() };
}

function made(): string {
  return randomBytes(32).toString('hex');
}
