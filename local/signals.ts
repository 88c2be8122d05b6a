// Sources of signals for the local stack: stand-ins for GitHub and a transmitter of RISC, and what sources share with Rekey.
import { createHmac, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { exportJWK, SignJWT } from 'jose';
import type { SignalSource } from '../shared/domain/signals/signal.ts';
import { OUTPUT } from '../shared/names.ts';
import { FakeGithub, type Delivery } from '../test/fakes/github.ts';
import { UpstreamServer } from '../test/fakes/upstream.ts';
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

type Shared = Readonly<Record<'github' | 'siem' | 'gitguardian' | 'azure', string>>;

/** Who sends security event tokens, and where its keys are. */
interface Transmitter {
  readonly keys: UpstreamServer;
  readonly privateKey: KeyObject;
}

const TRANSMITTER = { issuer: 'https://idp.example.com/', audience: 'rekey' };

/** Credentials that no source has a value of, by what it calls them. */
export interface Mapped {
  readonly risc?: Readonly<Record<string, string>>;
  readonly azure?: Readonly<Record<string, string>>;
}

/** Sources beside a local stack, which they have to be started with: its settings name what they share. */
export class LocalSources implements AsyncDisposable {
  readonly github: FakeGithub;
  /** For `startWorld`. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly #shared: Shared;
  readonly #transmitter: Transmitter;

  private constructor(
    github: FakeGithub,
    shared: Shared,
    transmitter: Transmitter,
    settings: LocalSources['settings'],
  ) {
    this.github = github;
    this.#shared = shared;
    this.#transmitter = transmitter;
    this.settings = settings;
  }

  /** Starts the stand-ins and stores the secrets, as docs/signals.md says. */
  static async start(stack: LocalStack, caps: Caps, mapped: Mapped = {}): Promise<LocalSources> {
    const shared = { github: made(), siem: made(), gitguardian: made(), azure: made() };
    const token = made();
    const github = await FakeGithub.start(token);
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'one' }] };
    const keys = await UpstreamServer.start(() => ({ status: 200, body: jwks }));
    const client = new SecretsManagerClient(stack.clientConfig);
    const store = async (name: string, SecretString: string): Promise<string> =>
      (await client.send(new CreateSecretCommand({ Name: `sources/${name}`, SecretString }))).ARN ?? '';
    const secretArn = (source: keyof Shared): Promise<string> => store(source, shared[source]);
    const { url } = github.server;
    const signals = {
      github: {
        secretArn: await secretArn('github'),
        tokenSecretArn: await store('github-token', token),
        apiUrl: url,
      },
      'github-partner': { keysUrl: `${url}/meta/public_keys/secret_scanning` },
      siem: { secretArn: await secretArn('siem') },
      gitguardian: { secretArn: await secretArn('gitguardian') },
      risc: { ...TRANSMITTER, jwksUrl: `${keys.url}/jwks`, credentials: mapped.risc ?? {} },
      azure: { secretArn: await secretArn('azure'), credentials: mapped.azure ?? {} },
      ...caps,
    };
    client.destroy();
    return new LocalSources(
      github,
      shared,
      { keys, privateKey },
      { signals, privateUpstreams: ['127.0.0.1'] },
    );
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

  /** GitGuardian's webhook tells of an incident, signed now. */
  gitguardian(incident: object): Delivery {
    const body = JSON.stringify({ action: 'incident_triggered', incident });
    const at = String(Math.floor(Date.now() / 1000));
    const hmac = createHmac('sha256', `${at}${this.#shared.gitguardian}`).update(body).digest('hex');
    return { headers: { timestamp: at, 'gitguardian-signature': `sha256=${hmac}` }, body };
  }

  /** A security event token: the transmitter holds the credential of that subject for compromised. */
  async compromised(subject: string): Promise<Delivery> {
    const event = 'https://schemas.openid.net/secevent/risc/event-type/credential-compromise';
    const body = await new SignJWT({
      sub_id: { format: 'opaque', id: subject },
      events: { [event]: { credential_type: 'password' } },
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'secevent+jwt', kid: 'one' })
      .setIssuer(TRANSMITTER.issuer)
      .setAudience(TRANSMITTER.audience)
      .setIssuedAt()
      .setJti(made())
      .sign(this.#transmitter.privateKey);
    return { headers: { 'content-type': 'application/secevent+jwt' }, body };
  }

  /** An event of Event Grid, of a subscription that has the word in its address. */
  eventGrid(eventType: string, data: object): Delivery {
    const event = { id: made(), eventType, eventTime: new Date().toISOString(), topic: 'vaults', data };
    return { headers: {}, query: `?key=${this.#shared.azure}`, body: JSON.stringify([event]) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.github[Symbol.asyncDispose]();
    await this.#transmitter.keys[Symbol.asyncDispose]();
  }
}

/** Delivers what a source has signed to the deployed intake. */
export async function deliver(
  world: World,
  source: SignalSource,
  { headers, query = '', body }: Delivery,
): Promise<Answered> {
  const apiId = /([a-z0-9]+)\.execute-api/.exec(world.output(OUTPUT.signalsUrl))?.[1] ?? '';
  const answer = await fetch(`${world.stack.apiUrl(apiId)}/signals/${source}${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: answer.status, body: await answer.text() };
}

function made(): string {
  return randomBytes(32).toString('hex');
}
