import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import * as z from 'zod';
import { answer as answerCall } from '../../../lambdas/control-api/routes.ts';
import type { DiagnosisServices } from '../../../lambdas/control-api/diagnosis-services.ts';
import type { ControlServices } from '../../../lambdas/control-api/route.ts';
import { GENESIS, seal, type AuditDraft, type AuditRecord } from '../../../shared/domain/audit.ts';
import { plusSeconds } from '../../../shared/domain/clock.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Subscription } from '../../../shared/domain/subscription.ts';
import type { SeenReader } from '../../../shared/domain/readers.ts';
import { isOver, type Rotation, type Trigger } from '../../../shared/domain/rotation.ts';
import { decommission } from '../../../shared/engine/agents/decommission.ts';
import { stepFor } from '../../../shared/engine/staged.ts';
import { registerPact } from '../../../shared/engine/agents/register-pact.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import type { HeldSignal } from '../../../shared/domain/signals/held.ts';
import type { SignalOutcome } from '../../../shared/engine/signals/deps.ts';
import type { ReaderLog } from '../../../shared/ports/reader-log.ts';
import type { Family } from '../../../shared/domain/families.ts';
import type { FamilyLeft } from '../../../shared/engine/families/leave.ts';
import type { RevokedCertificate } from '../../../shared/engine/certificates/revoke.ts';
import type { FamilyApplied } from '../../../shared/engine/families/register.ts';
import { MemoryAgentStore } from '../../support/agent-parts.ts';
import { freshFamily, MemoryFamilies } from '../../support/families.ts';
import { MemoryUpstreamUses } from '../../support/upstream-uses.ts';

export const NOW = Date.parse('2026-11-22T12:00:00.000Z');
export const CALLER = 'arn:aws:sts::111122223333:assumed-role/Operator/alice';
export const ID = '6f1d4f0e-3a52-4c43-9b3e-0f6f7f6f0a01';
export const ROTATION_ID = 'b0d3c1aa-5f0e-4f8e-8a43-7f2f3f4f5f61';

export const SUBSCRIPTION: Subscription = {
  id: '0123456789abcdef0123',
  fleet: 'shop',
  events: ['rotated', 'halt'],
  to: 'arn:aws:sqs:eu-central-1:111122223333:shop',
  deadLetter: 'arn:aws:sqs:eu-central-1:111122223333:undelivered',
  state: 'delivering',
  by: CALLER,
  since: '2026-11-22T11:00:00.000Z',
};

/** A signal that waits for people. */
export const HELD: HeldSignal = {
  id: ROTATION_ID,
  source: 'siem',
  reporter: 'signal:siem',
  why: 'it would revoke 4 credentials, more than 3',
  heldAt: '2026-11-22T11:00:00.000Z',
  glassAt: '2026-11-22T11:30:00.000Z',
  credentials: [{ credentialId: ID, name: 'orders-db', type: 'database' }],
  status: 'held',
  approvals: [],
  version: 1,
};

/** A family that somebody has consented to. */
export const FAMILY: Family = freshFamily(
  {
    name: 'crm',
    status: 'active',
    needs: undefined,
    tokens: {
      versionId: ROTATION_ID,
      fingerprint: 'sha256:3333',
      refreshable: true,
      consentedAt: '2026-11-22T11:30:00.000Z',
      rotatedAt: '2026-11-22T11:30:00.000Z',
      refreshedAt: '2026-11-22T11:30:00.000Z',
      expiresAt: '2026-11-22T12:30:00.000Z',
      scope: 'tools:read',
    },
  },
  NOW,
);

export function credentialOf(changes: Partial<Credential> = {}): Credential {
  return {
    id: ID,
    name: 'orders-db',
    type: 'database',
    provider: 'postgresql',
    secretName: 'agents/orders-db',
    secretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:agents/orders-db-AbCdEf',
    target: {
      host: 'db.internal',
      port: 5432,
      database: 'orders',
      tls: { mode: 'verify-full', ca: '-----BEGIN' },
    },
    adminSecret: 'admin/orders-db',
    policy: {
      intervalSeconds: 30 * 86_400,
      windowSeconds: 1800,
      deadlineSeconds: 3600,
      capSeconds: 14_400,
      soakSeconds: 90,
      announceSeconds: 0,
      atDeadline: 'extend',
      access: 'write',
      sensitivity: 'normal',
    },
    mode: 'enforce',
    holders: [{ kind: 'polling', name: 'order-agents', ttlSeconds: 300 }],
    status: 'active',
    current: {
      handle: { id: 'orders_a', generation: 1, token: ID },
      versionId: ID,
      fingerprint: 'sha256:1111',
      issuedAt: '2026-11-01T00:00:00.000Z',
    },
    live: [],
    generation: 1,
    epoch: 0,
    version: 1,
    seq: 0,
    chain: GENESIS,
    tenant: 'default',
    account: '111122223333',
    region: 'eu-central-1',
    registeredAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-11-01T00:00:00.000Z',
    ...changes,
  };
}

export function rotationOf(changes: Partial<Rotation> = {}): Rotation {
  const opensAt = '2026-11-22T11:50:00.000Z';
  return {
    id: ROTATION_ID,
    credentialId: ID,
    phase: 'window',
    trigger: { kind: 'operator', actor: CALLER },
    old: {
      handle: { id: 'orders_a', generation: 1 },
      versionId: ID,
      fingerprint: 'sha256:1111',
      issuedAt: '2026-11-01T00:00:00.000Z',
    },
    next: {
      handle: { id: 'orders_b', generation: 2 },
      versionId: ROTATION_ID,
      fingerprint: 'sha256:2222',
      issuedAt: opensAt,
    },
    epoch: 0,
    tombstoned: false,
    window: {
      opensAt,
      earliestClose: plusSeconds(opensAt, 1800),
      deadline: plusSeconds(opensAt, 3600),
      cap: plusSeconds(opensAt, 14_400),
    },
    wakeUps: 0,
    loser: 'old',
    callback: { awaiting: 'window', taskToken: 'TASK-TOKEN-OF-THE-MACHINE' },
    repairs: 0,
    checkAt: opensAt,
    startedAt: opensAt,
    updatedAt: opensAt,
    ...changes,
  };
}

const planner: Trigger = { kind: 'planner', actor: 'rekey' };

/** A chain of records, sealed one on the other. */
export function chainOf(
  credential: Credential,
  drafts: readonly (Pick<AuditDraft, 'action' | 'time'> & Partial<AuditDraft>)[],
): { head: Credential; records: AuditRecord[] } {
  let { seq, chain } = credential;
  const records = drafts.map((draft) => {
    const record = seal({ ...credential, seq, chain }, { trigger: planner, ...draft });
    seq = record.metadata.sequence;
    chain = record.integrity.hash;
    return record;
  });
  return {
    head: { ...credential, seq, chain, updatedAt: drafts.at(-1)?.time ?? credential.updatedAt },
    records,
  };
}

/** A ledger to read from, held in memory. */
export class FakeLedger implements Ledger {
  readonly credentials = new Map<string, Credential>();
  readonly rotationsById = new Map<string, Rotation>();
  trail: AuditRecord[] = [];
  /** What the month index has not seen yet. */
  unindexed: AuditRecord[] = [];
  /** While set, nothing is answered, or everything fails. */
  state: 'up' | 'silent' | 'failing' = 'up';
  monthsRead: string[] = [];

  add(credential: Credential, records: readonly AuditRecord[] = []): this {
    this.credentials.set(credential.id, credential);
    this.trail.push(...records);
    return this;
  }

  async #turn(): Promise<void> {
    if (this.state === 'silent') await new Promise(() => {});
    if (this.state === 'failing') throw new Error('connect ECONNREFUSED 10.0.0.1:443');
  }

  async credential(id: string): Promise<Credential | undefined> {
    await this.#turn();
    const head = this.credentials.get(id);
    return head?.status === 'unregistered' ? undefined : head;
  }
  async idByName(name: string): Promise<string | undefined> {
    await this.#turn();
    return [...this.credentials.values()].find((credential) => credential.name === name)?.id;
  }
  async unregistered(id: string): Promise<Credential | undefined> {
    await this.#turn();
    const head = this.credentials.get(id);
    return head?.status === 'unregistered' ? head : undefined;
  }
  async idBySecret(secret: string): Promise<string | undefined> {
    await this.#turn();
    return [...this.credentials.values()].find(({ secretName }) => secretName === secret)?.id;
  }
  async idByTarget(_identity: string): Promise<string | undefined> {
    await this.#turn();
    return undefined;
  }
  async rotation(credentialId: string, rotationId: string): Promise<Rotation | undefined> {
    await this.#turn();
    const rotation = this.rotationsById.get(rotationId);
    return rotation?.credentialId === credentialId ? rotation : undefined;
  }
  async turns(): Promise<ReadonlyMap<number, number>> {
    await this.#turn();
    return new Map();
  }
  async rotations(credentialId: string, limit: number): Promise<readonly Rotation[]> {
    await this.#turn();
    return [...this.rotationsById.values()]
      .filter((rotation) => rotation.credentialId === credentialId)
      .sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1))
      .slice(0, limit);
  }
  async list(): Promise<{ items: readonly Credential[] }> {
    await this.#turn();
    return { items: [...this.credentials.values()] };
  }
  async unfinished(): Promise<readonly { credentialId: string; rotationId: string }[]> {
    await this.#turn();
    const under = [...this.rotationsById.values()].filter(({ phase }) => !isOver(phase));
    return under.map(({ credentialId, id }) => ({ credentialId, rotationId: id }));
  }
  due(): Promise<never> {
    throw new Error('not used here');
  }
  lookAt(): Promise<never> {
    throw new Error('not used here');
  }
  async byFingerprint(): Promise<readonly []> {
    await this.#turn();
    return [];
  }
  knows(): Promise<never> {
    throw new Error('not used here');
  }
  claimOf(): Promise<never> {
    throw new Error('not used here');
  }
  claim(): Promise<never> {
    throw new Error('the API must not write');
  }
  unclaim(): Promise<never> {
    throw new Error('the API must not write');
  }
  create(): Promise<never> {
    throw new Error('the API must not write');
  }
  commit(): Promise<never> {
    throw new Error('the API must not write');
  }
  attach(): Promise<never> {
    throw new Error('the API must not write');
  }
  release(): Promise<never> {
    throw new Error('the API must not write');
  }
  async *records(credentialId: string, fromSeq = 1): AsyncIterable<AuditRecord> {
    await this.#turn();
    const own = [...this.trail, ...this.unindexed].filter(({ entity }) => entity.uid === credentialId);
    yield* own.filter(({ metadata }) => metadata.sequence >= fromSeq);
  }
  async *recordsOfMonth(month: string): AsyncIterable<AuditRecord> {
    await this.#turn();
    this.monthsRead.push(month);
    yield* this.trail.filter((record) => record.time_dt.startsWith(month)).sort((a, b) => a.time - b.time);
  }
}

/** Readers in memory. */
export class FakeReaderLog implements ReaderLog {
  readonly seen = new Map<string, SeenReader[]>();

  async saw(secret: string, reader: SeenReader): Promise<boolean> {
    this.seen.set(secret, [...(this.seen.get(secret) ?? []), reader]);
    return Promise.resolve(true);
  }

  async of(secret: string): Promise<readonly SeenReader[]> {
    return Promise.resolve(this.seen.get(secret) ?? []);
  }
}

/** A deployment in which all is well; `changes` are what isn't. */
export function fakeDiagnosis(
  ledger: FakeLedger,
  changes: Partial<DiagnosisServices> = {},
): DiagnosisServices {
  const minuteAgo = new Date(NOW - 60_000).toISOString();
  return {
    ledger: async () => ({ value: true }),
    types: ['database'],
    heartbeat: async () => ({ value: minuteAgo }),
    machine: async () => ({ value: 'ACTIVE' }),
    subscriptions: async () => ({ value: { subscriptions: [SUBSCRIPTION] } }),
    look: async () => ({ value: { checks: [], admin: { value: true } } }),
    holders: async () => ({ value: [] }),
    listed: async () => ({ value: undefined }),
    snapshot: async (id) => ({ value: await ledger.credential(id) }),
    ...changes,
  };
}

/** What `fakeServices` makes. */
export type FakeServices = ControlServices & {
  readonly asked: { method: string; input: unknown }[];
  readonly ledger: FakeLedger;
  readonly readers: FakeReaderLog;
  readonly upstreamUses: MemoryUpstreamUses;
  readonly agents: MemoryAgentStore;
  readonly families: MemoryFamilies;
};

/** Services that note what they were asked and answer from a table; a RekeyError in the table is thrown. */
export function fakeServices(
  ledger: FakeLedger = new FakeLedger(),
  answers: Record<string, object> = {},
): FakeServices {
  const asked: { method: string; input: unknown }[] = [];
  const answer =
    <T>(method: string, usual: T) =>
    (input: unknown): Promise<T> => {
      asked.push({ method, input });
      const given: Partial<T> | Error | undefined = answers[method];
      if (given instanceof Error) return Promise.reject(given);
      return Promise.resolve(given === undefined ? usual : { ...usual, ...given });
    };
  const agents = new MemoryAgentStore(() => NOW);
  const families = new MemoryFamilies(() => NOW);
  return {
    asked,
    ledger,
    readers: new FakeReaderLog(),
    upstreamUses: new MemoryUpstreamUses(),
    agents,
    clock: () => NOW,
    receiveSignal: answer<SignalOutcome>('receiveSignal', { act: 'nothing', credentials: [] }),
    heldSignals: () => Promise.resolve([HELD]),
    voteOnSignal: answer('voteOnSignal', HELD),
    registerPact: (input) => registerPact({ ledger, agents, clock: () => NOW }, { ...input, operator: true }),
    requestRotation: answer('requestRotation', {
      rotation: rotationOf(),
      joined: false,
      beside: [] as string[],
    }),
    rotateAll: async ({ affected, ...order }) => {
      asked.push({ method: 'rotateAll', input: order });
      const done = affected.map((of) => ({ of, done: stepFor(of, NOW) }));
      return Promise.resolve({ done, left: 0 });
    },
    decommission: (request) => decommission({ agents, clock: () => NOW }, request),
    requestRollback: answer('requestRollback', {
      rotation: rotationOf({ phase: 'rolling-back', loser: 'next' }),
    }),
    confirmHolder: answer('confirmHolder', { rotation: rotationOf() }),
    confirmEnd: answer('confirmEnd', { rotation: rotationOf() }),
    confirmRoot: answer<Awaited<ReturnType<ControlServices['confirmRoot']>>>('confirmRoot', {
      outcome: 'confirmed',
      credential: credentialOf(),
      letIn: ['orders-db'],
    }),
    register: answer<Awaited<ReturnType<ControlServices['register']>>>('register', {
      outcome: 'registered',
      changes: [],
      credential: credentialOf(),
    }),
    pause: answer('pause', { credential: credentialOf(), changed: true, backstop: 'aligned' }),
    unpause: answer('unpause', { credential: credentialOf(), changed: true, backstop: 'aligned' }),
    unregister: answer<Awaited<ReturnType<ControlServices['unregister']>>>('unregister', {
      outcome: 'unregistered',
      credential: credentialOf(),
      alive: [],
    }),
    askForConsent: answer<Awaited<ReturnType<ControlServices['askForConsent']>>>('askForConsent', {
      family: freshFamily({ name: 'crm' }),
      address: { url: 'https://login.example/authorize?state=s', sendsIssuer: true },
    }),
    connectFamily: answer('connectFamily', { family: freshFamily({ name: 'crm' }) }),
    inventory: answer<Awaited<ReturnType<ControlServices['inventory']>>>('inventory', { secrets: [] }),
    subscriptions: answer<Awaited<ReturnType<ControlServices['subscriptions']>>>('subscriptions', {
      subscriptions: [SUBSCRIPTION],
    }),
    subscribe: answer<Awaited<ReturnType<ControlServices['subscribe']>>>('subscribe', {
      outcome: 'subscribed',
      subscription: SUBSCRIPTION,
      needs: [],
    }),
    unsubscribe: answer<Awaited<ReturnType<ControlServices['unsubscribe']>>>('unsubscribe', {
      outcome: 'unsubscribed',
      subscription: SUBSCRIPTION,
    }),
    startEmergency: async (input) => {
      const credentials = input.credentials.map(({ credentialId }) => credentialId);
      return answer('startEmergency', { id: 'emergency-1', credentials })(input);
    },
    families,
    coordinator: {
      apply: answer<FamilyApplied>('applyFamily', { outcome: 'registered', changes: [], family: FAMILY }),
      refresh: answer('refresh', { family: FAMILY }),
      revoke: answer('revokeFamily', { family: FAMILY }),
      pause: answer('pauseFamily', { family: FAMILY, changed: true }),
      unpause: answer('unpauseFamily', { family: FAMILY, changed: true }),
      unregister: answer<FamilyLeft>('unregisterFamily', { outcome: 'unregistered', family: FAMILY }),
      diagnose: answer('diagnoseFamily', { checks: [] }),
    },
    revokeCertificate: answer<RevokedCertificate>('revokeCertificate', {
      changed: true,
      serial: '4f01',
      authority: 'ca-1',
      id: 'spiffe://agents.shop.example/agent/checkout',
      agent: 'checkout',
      revokedAt: '2026-11-22T12:00:00.000Z',
      notAfter: '2026-11-23T12:00:00.000Z',
      listed: true,
    }),
    reportLeak: answer<Awaited<ReturnType<ControlServices['reportLeak']>>>('reportLeak', []),
    reportFamilyLeak: answer<Awaited<ReturnType<ControlServices['reportFamilyLeak']>>>(
      'reportFamilyLeak',
      [],
    ),
    emergency: answer('emergency', { status: 'RUNNING', startedAt: '2026-11-22T12:00:00.000Z' }),
    diagnosis: fakeDiagnosis(ledger),
  };
}

export function underWay(): RekeyError {
  return new RekeyError('ERR_ROTATION_UNDER_WAY', 'rotation b0d3 (planner) is in phase window', {
    remedy: 'wait for it, or roll it back',
  });
}

/** A request as API Gateway hands it on (payload 2.0). */
export function eventOf(
  method: string,
  path: string,
  options: {
    body?: unknown;
    raw?: string;
    base64?: boolean;
    query?: Record<string, string>;
    headers?: Record<string, string>;
    caller?: string | null;
    stage?: string;
  } = {},
): APIGatewayProxyEventV2 {
  const { body, raw, base64 = false, query, headers = {}, caller = CALLER, stage = '$default' } = options;
  const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const event = {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: '',
    headers,
    requestContext: {
      accountId: '111122223333',
      apiId: 'a1b2c3d4',
      domainName: 'api',
      domainPrefix: 'api',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
      requestId: 'r-1',
      routeKey: '$default',
      stage,
      time: '',
      timeEpoch: NOW,
      ...(caller === null ? {} : { authorizer: { iam: { userArn: caller } } }),
    },
    isBase64Encoded: base64,
    ...(query === undefined ? {} : { queryStringParameters: query }),
    ...(text === undefined ? {} : { body: text }),
  };
  return event;
}

/** What the API answers about the impact of a rotation. */
export async function impactBody(
  credential: Credential,
  rotation?: Rotation,
): Promise<Record<string, unknown>> {
  const ledger = new FakeLedger().add(
    rotation === undefined ? credential : { ...credential, activeRotation: rotation.id },
  );
  if (rotation !== undefined) ledger.rotationsById.set(rotation.id, rotation);
  const path = `/v1/credentials/${credential.name}/impact`;
  return bodyOf((await answerCall(eventOf('GET', path), fakeServices(ledger))).response);
}

/** The body of an answer as JSON. */
export function bodyOf(response: { body?: string | undefined }): Record<string, unknown> {
  return z.record(z.string(), z.unknown()).parse(JSON.parse(response.body ?? '{}'));
}

/** An entry of a declaration file, as a request has it. */
export const DECLARATION = {
  name: 'orders-db',
  type: 'database',
  provider: 'postgresql',
  secret: 'agents/orders-db',
  admin: 'admin/orders-db',
  target: { host: 'db.internal' },
};

/** A ledger with a credential whose rotation is in its window. */
export function ledgerWithRotation(changes: Partial<Credential> = {}): FakeLedger {
  const ledger = new FakeLedger().add(credentialOf({ activeRotation: ROTATION_ID, ...changes }));
  ledger.rotationsById.set(ROTATION_ID, rotationOf());
  return ledger;
}
