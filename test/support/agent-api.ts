import { randomBytes } from 'node:crypto';
import { CompactSign, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose';
import { answer } from '../../lambdas/agent-api/routes.ts';
import { joseSignatures } from '../../shared/adapters/jose-signatures.ts';
import { acknowledgementKey } from '../../shared/domain/acknowledgement-key.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { proofOf } from '../../shared/domain/possession.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { AcknowledgementPayload, HeartbeatPayload, OpeningPayload } from '../../shared/domain/signed.ts';
import type { AgentDeps } from '../../shared/engine/agents/deps.ts';
import type { AgentStore } from '../../shared/ports/agents.ts';
import type { Sealer } from '../../shared/ports/sealer.ts';
import type { LifecycleOutcome } from '../../shared/ports/workflow.ts';
import {
  bodyOf,
  credentialOf,
  eventOf,
  FakeLedger,
  ID,
  NOW,
  ROTATION_ID,
  rotationOf,
} from '../unit/api/fakes.ts';

export const AGENT = 'checkout';
export const PRINCIPAL = 'arn:aws:iam::111122223333:role/agents/checkout';
/** A session of that role: its path is not in it. */
export const CALLER = 'arn:aws:sts::111122223333:assumed-role/checkout/host-1';
export const SIBLING = 'arn:aws:sts::111122223333:assumed-role/search/host-1';
/** SecretString of the version that the window is about. */
export const VALUE = JSON.stringify({ username: 'orders_b', password: 'correct horse battery staple' });

export const holder = (name = AGENT, principal = PRINCIPAL) => ({ kind: 'client' as const, name, principal });

/** A pact of the agent over one credential. */
export const pactOf = (changes: object = {}, about: object = {}): object => ({
  version: 1,
  agent: AGENT,
  sessionLimit: '8h',
  ...changes,
  credentials: [
    {
      credential: 'orders-db',
      refresh: 'in-session',
      ttl: '15m',
      staleLimit: '1h',
      uses: 'reported',
      ...about,
    },
  ],
});

/** What an answer of the API is. */
export interface Answered {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Readonly<Record<string, string | number | boolean>>;
}

/** The agent API over a store, beside a ledger in memory in which a window is open. */
export class AgentApiWorld {
  readonly ledger = new FakeLedger();
  readonly answers: LifecycleOutcome['outcome'][] = [];
  readonly deps: AgentDeps;
  now = NOW;
  #nonces = 0;

  constructor(store: (clock: () => number) => { agents: AgentStore; sealer: Sealer }) {
    const clock = (): number => this.now;
    this.deps = {
      ...store(clock),
      ledger: this.ledger,
      signatures: joseSignatures,
      workflow: {
        answer: async (_token, { outcome }) => {
          this.answers.push(outcome);
        },
      },
      clock,
      newNonce: () => `nonce-${++this.#nonces}`,
    };
    this.ledger.add(credentialOf({ holders: [holder()] }));
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    { caller = CALLER, headers = {} }: { caller?: string; headers?: Record<string, string> } = {},
  ): Promise<Answered> {
    const event = eventOf(method, path, { caller, ...(body === undefined ? {} : { body }) });
    const { response } = await answer({ ...event, headers: { ...event.headers, ...headers } }, this.deps);
    return {
      status: response.statusCode ?? 0,
      body: response.body === undefined ? {} : bodyOf(response),
      headers: response.headers ?? {},
    };
  }

  async pact(changes: object = {}, about: object = {}): Promise<Answered> {
    return this.call('PUT', `/agents/${AGENT}/pact`, pactOf(changes, about));
  }

  /** Opens the window of a rotation, as the engine does: with the key that acknowledgements are held against. */
  async openWindow(
    changes: Partial<ReturnType<typeof rotationOf>> = {},
    { versionId, value } = { versionId: ROTATION_ID, value: VALUE },
  ): Promise<void> {
    const { next, ...rest } = rotationOf(changes);
    const rotation = { ...rest, ...(next === undefined ? {} : { next: { ...next, versionId } }) };
    const opensAt = rotation.window?.opensAt ?? '';
    const sealed = await this.deps.sealer.seal(acknowledgementKey(new Redacted(value), ROTATION_ID), {
      purpose: 'acknowledgement',
      of: ID,
      id: ROTATION_ID,
    });
    this.ledger.rotationsById.set(ROTATION_ID, {
      ...rotation,
      acknowledgement: { opensAt, versionId, fingerprint: 'sha256:2222', sealed },
      ...changes,
    });
    const credential = this.ledger.credentials.get(ID) ?? credentialOf();
    this.ledger.add({ ...credential, activeRotation: ROTATION_ID });
  }

  /** An instance with a session of its own. */
  async instance(name = 'host-1', alg: Instance['alg'] = 'EdDSA'): Promise<Instance> {
    const instance = await Instance.make(this, name, alg);
    await instance.open();
    return instance;
  }

  at(seconds: number): string {
    return toInstant(this.now + seconds * 1000);
  }
}

/** What an instance calls the agent API through. */
export interface AgentCaller {
  /** What time the API has; that of this machine where it isn't said. */
  readonly now?: number;
  call(method: string, path: string, body?: unknown, options?: { caller?: string }): Promise<Answered>;
}

/** A process of an agent, with a key of its own. */
export class Instance {
  readonly world: AgentCaller;
  readonly agent: string;
  readonly name: string;
  readonly alg: 'EdDSA' | 'ES256' | 'HS256';
  readonly jwk: JWK;
  readonly #key: CryptoKey | Uint8Array;
  session = '';
  #sequence = 0;

  private constructor(
    world: AgentCaller,
    agent: string,
    name: string,
    alg: Instance['alg'],
    jwk: JWK,
    key: CryptoKey | Uint8Array,
  ) {
    this.world = world;
    this.agent = agent;
    this.name = name;
    this.alg = alg;
    this.jwk = jwk;
    this.#key = key;
  }

  static async make(
    world: AgentCaller,
    name = 'host-1',
    alg: Instance['alg'] = 'EdDSA',
    agent = AGENT,
  ): Promise<Instance> {
    if (alg === 'HS256') {
      const secret = randomBytes(32);
      return new Instance(world, agent, name, alg, { kty: 'oct', k: secret.toString('base64url') }, secret);
    }
    const { publicKey, privateKey } = await generateKeyPair(alg);
    return new Instance(world, agent, name, alg, await exportJWK(publicKey), privateKey);
  }

  async open(): Promise<Answered> {
    return this.sendOpening(await this.opening());
  }

  /** What this instance would send to open its session. */
  async opening(changes: Partial<OpeningPayload> = {}): Promise<string> {
    const about = { agent: this.agent, instance: this.name, at: toInstant(this.world.now ?? Date.now()) };
    return this.sign({ ...about, sequence: ++this.#sequence, ...changes });
  }

  async sendOpening(opening: string, options: { caller?: string } = {}): Promise<Answered> {
    const path = `/agents/${this.agent}/sessions`;
    const answered = await this.world.call('POST', path, { key: this.jwk, opening }, options);
    if (answered.status === 201) this.session = String(answered.body['session']);
    return answered;
  }

  /** A call about this session. */
  async say(what: string, body?: unknown, options: { caller?: string } = {}): Promise<Answered> {
    const method = body === undefined ? 'GET' : 'POST';
    return this.world.call(method, `/agents/${this.agent}/sessions/${this.session}/${what}`, body, options);
  }

  async holds(versionId: string, credential = 'orders-db'): Promise<Answered> {
    return this.beat([{ credential, versionId }]);
  }

  async beat(holds: HeartbeatPayload['holds'], options: { caller?: string } = {}): Promise<Answered> {
    return this.say('heartbeat', { heartbeat: await this.heartbeat(holds) }, options);
  }

  /** What this instance would send as its next heartbeat. */
  async heartbeat(holds: HeartbeatPayload['holds']): Promise<string> {
    return this.sign({ session: this.session, sequence: ++this.#sequence, holds });
  }

  async report(uses: readonly object[]): Promise<Answered> {
    return this.say('uses', { uses: await this.sign({ session: this.session, uses }) });
  }

  async challenge(rotation = ROTATION_ID): Promise<string> {
    return String((await this.say('challenges', { rotation })).body['challenge']);
  }

  async sign(payload: unknown, header: object = {}): Promise<string> {
    return new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: this.alg, ...header })
      .sign(this.#key);
  }

  /** What this instance would sign, over a fresh challenge. */
  async payload(
    changes: Partial<AcknowledgementPayload> = {},
    value = VALUE,
  ): Promise<AcknowledgementPayload> {
    const about = {
      session: this.session,
      rotation: ROTATION_ID,
      credential: 'orders-db',
      versionId: ROTATION_ID,
      fingerprint: 'sha256:2222',
      challenge: changes.challenge ?? (await this.challenge(changes.rotation)),
      persisted: true,
      ...changes,
    };
    const key = acknowledgementKey(new Redacted(value), about.rotation);
    return { ...about, proof: changes.proof ?? proofOf(key, about).reveal() };
  }

  async send(jws: string): Promise<Answered> {
    return this.say('acknowledgements', { acknowledgement: jws });
  }

  async acknowledge(changes: Partial<AcknowledgementPayload> = {}, value = VALUE): Promise<Answered> {
    return this.send(await this.sign(await this.payload(changes, value)));
  }

  async close(): Promise<Answered> {
    return this.say('close', { close: await this.sign({ session: this.session, closed: true }) });
  }
}
