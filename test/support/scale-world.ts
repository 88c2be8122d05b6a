import { AwsServiceError, type AwsCalls } from '../../shared/adapters/aws-client.ts';
import { S3Archive } from '../../shared/adapters/s3-archive.ts';
import { S3Snapshots, snapshotKey } from '../../shared/adapters/s3-snapshots.ts';
import { chained, type AuditRecord } from '../../shared/domain/audit.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { startInParts } from '../../shared/engine/begin-emergency.ts';
import type { LedgerChange } from '../../shared/ports/ledger.ts';
import type { AnyProvider } from '../../shared/providers/provider.ts';
import { registeringHead } from './credential-head.ts';
import type { ProcessDeps } from './faulty.ts';
import { call, workflowOf } from './functions.ts';
import { Machines, type Execution } from './machines.ts';
import { VirtualTime } from './virtual-time.ts';

const TYPES = ['database', 'llm-key', 'vector-database-key'] as const;
const TENANT = 'acme';

/** Until when something is down, in virtual time. */
interface Outage {
  until: number;
}

/** The ledger in memory, with its fence and its chains. Down, it refuses writes; where it is `dark`, reads too. */
class MemoryLedger {
  readonly heads = new Map<string, Credential>();
  /** What its stream would have. */
  readonly trail: AuditRecord[] = [];
  readonly outage: Outage & { dark: boolean } = { until: 0, dark: false };
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  #assertUp(isWrite: boolean): void {
    if (this.#now() < this.outage.until && (isWrite || this.outage.dark))
      throw new RekeyError('ERR_UNAVAILABLE', 'dynamodb did not answer in 4 attempts');
  }

  async credential(id: string): Promise<Credential | undefined> {
    this.#assertUp(false);
    return Promise.resolve(this.heads.get(id));
  }

  async rotation(): Promise<undefined> {
    this.#assertUp(false);
    return Promise.resolve(undefined);
  }

  async commit({ before, after, records }: LedgerChange): Promise<Credential> {
    this.#assertUp(true);
    const now = this.heads.get(before.id);
    if (now?.version !== before.version) throw new RekeyError('ERR_CONFLICT', 'somebody was faster');
    const sealed = chained(after, records);
    const stored = { ...after, seq: sealed.seq, chain: sealed.chain, version: before.version + 1 };
    this.heads.set(before.id, stored);
    this.trail.push(...sealed.records);
    return Promise.resolve(stored);
  }

  async *records(id: string): AsyncIterable<AuditRecord> {
    this.#assertUp(false);
    yield* await Promise.resolve(this.trail.filter(({ entity }) => entity.uid === id));
  }
}

/** S3 in memory, as far as snapshots, spool and archive call it. */
export class MemoryS3 {
  readonly objects = new Map<string, string>();
  readonly outage: Outage = { until: 0 };
  /** Whether what is deleted stays, as where the process dies before. */
  keepsAll = false;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** As the adapters take it, which call `request` alone. */
  get aws(): AwsCalls {
    return this as unknown as AwsCalls;
  }

  async request(
    _service: string,
    { method, path, body = '' }: { method: string; path: string; body?: string },
  ): Promise<{ text: string }> {
    if (this.#now() < this.outage.until) throw new RekeyError('ERR_UNAVAILABLE', 's3 did not answer');
    const [key = '', query] = decodeURIComponent(path).split('?');
    if (method === 'PUT') {
      if (this.objects.has(key)) throw new AwsServiceError('PreconditionFailed', 'it is there', 412);
      this.objects.set(key, body);
      return Promise.resolve({ text: '' });
    }
    if (method === 'DELETE') {
      if (this.keepsAll) throw new RekeyError('ERR_UNAVAILABLE', 's3 did not answer');
      this.objects.delete(key);
      return Promise.resolve({ text: '' });
    }
    if (query === undefined) {
      const text = this.objects.get(key);
      if (text === undefined) throw new AwsServiceError('NoSuchKey', 'no such key', 404);
      return { text };
    }
    return { text: this.#page(key, new URLSearchParams(query)) };
  }

  /** A thousand names at a time. */
  #page(bucket: string, query: URLSearchParams): string {
    const prefix = `${bucket}/${query.get('prefix') ?? ''}`;
    const all = [...this.objects.keys()].filter((key) => key.startsWith(prefix)).toSorted();
    const from = Number(query.get('continuation-token') ?? 0);
    const keys = all.slice(from, from + 1000).map((key) => `<Key>${key.slice(bucket.length + 1)}</Key>`);
    const next =
      from + 1000 < all.length ? `<NextContinuationToken>${from + 1000}</NextContinuationToken>` : '';
    return `<ListBucketResult>${keys.join('')}${next}</ListBucketResult>`;
  }
}

/**
 * Many credentials of three types: the machine, the engine and the adapters of S3 as they are deployed, the ledger, the upstream and S3
 * in memory, each of which may be down for a while of virtual time.
 */
export class ScaleWorld {
  readonly time = new VirtualTime();
  readonly ledger = new MemoryLedger(this.time.now);
  readonly s3 = new MemoryS3(this.time.now);
  readonly upstream: Outage = { until: 0 };
  /** Ids of the values that are taken. */
  readonly alive = new Set<string>();
  /** What was done, in order, and when. */
  readonly done: { readonly what: string; readonly credential: string; readonly at: number }[] = [];
  readonly deps: ProcessDeps & { readonly snapshots: S3Snapshots; readonly spool: S3Snapshots };
  readonly machines: Machines;
  readonly startedAt = this.time.now();
  /** Throws where a function is not to be called now, as Lambda does that has no room. */
  refuse: (name: string, payload: { readonly [field: string]: unknown }) => void = () => undefined;

  constructor(count: number) {
    const { aws } = this.s3;
    const snapshots = new S3Snapshots({ aws, bucket: 'snapshots', tenant: TENANT });
    this.machines = new Machines(this.time, (name, payload) => {
      this.refuse(name, { ...payload });
      return call(this.deps, name, payload);
    });
    const parts = {
      ledger: this.ledger,
      snapshots,
      spool: snapshots,
      workflow: workflowOf(this.machines),
      events: {
        publish: (what: string, { credentialId = '' }: { credentialId?: string }) =>
          Promise.resolve(this.#did(what, credentialId)),
      },
      providerFor: () => Promise.resolve(this.#provider()),
      readAdmin: () => Promise.resolve(new Redacted('{}')),
      clock: this.time.now,
      newId: () => crypto.randomUUID(),
      reach: { privateHosts: [] },
      timing: { stuckAfterSeconds: 900 },
    };
    // An emergency without replacement has no part in the others.
    this.deps = parts as unknown as typeof this.deps;
    for (let n = 0; n < count; n++) this.add(n);
  }

  get ids(): string[] {
    return [...this.ledger.heads.keys()];
  }

  #did(what: string, credential: string): void {
    this.done.push({ what, credential, at: this.time.now() });
  }

  /** The n-th credential, which works. */
  add(n: number): void {
    const home = { tenant: TENANT, account: '111122223333', region: 'eu-central-1', now: this.time.now() };
    const handle = { id: `value-${n}`, generation: 1 };
    const type = TYPES[n % TYPES.length] ?? 'database';
    const id = `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`;
    const head = registeringHead(home, {
      id,
      name: `many-${n}`,
      type,
      status: 'active',
      generation: 1,
      live: [handle],
      holders: [{ kind: 'client', name: `agent-${n}`, principal: `arn:role/agent-${n}` }],
      current: { handle, versionId: 'v1', fingerprint: `sha256:${n}`, issuedAt: toInstant(this.time.now()) },
    });
    this.ledger.heads.set(id, head);
    this.alive.add(handle.id);
    this.s3.objects.set(`/snapshots/${snapshotKey(TENANT, id)}`, JSON.stringify(head));
  }

  /** What a rotation brings to life beside the current value, on record as the ledger is fenced by nobody yet. */
  bringToLife(credentialId: string): void {
    const head = this.ledger.heads.get(credentialId);
    if (head === undefined) throw new Error(`there is no ${credentialId}`);
    const handle = { id: `next-of-${credentialId}`, generation: head.generation + 1 };
    const { generation } = handle;
    const version = head.version + 1;
    this.ledger.heads.set(credentialId, { ...head, generation, version, live: [...head.live, handle] });
    this.alive.add(handle.id);
  }

  /** Every upstream: what is known by id is ended, and nothing else is listed than what lives. */
  #provider(): AnyProvider {
    const up = (): void => {
      if (this.time.now() < this.upstream.until) throw new RekeyError('ERR_UNAVAILABLE', 'HTTP 429');
    };
    const provider = {
      storedTarget: (target: unknown) => target,
      revoke: async (_target: unknown, { id }: { id: string }) => {
        up();
        this.alive.delete(id);
        this.#did('revoke', id);
        const observedAt = toInstant(this.time.now());
        return Promise.resolve({
          confirmed: true,
          method: 'status-read',
          observedAt,
          detail: `${id} is gone`,
        });
      },
      list: async () => {
        up();
        return Promise.resolve([]);
      },
    };
    // As far as a revocation and its sweep go.
    return provider as unknown as AnyProvider;
  }

  /** One emergency of all, without replacement, to the end of each of its parts; its first one. Untyped as where nobody answered its request. */
  async emergency(id = 'e-1', { isTyped = true } = {}): Promise<Execution> {
    const credentials = [...this.ledger.heads.values()].map((head) => ({
      credentialId: head.id,
      ...(isTyped ? { type: head.type } : {}),
    }));
    await startInParts(this.deps.workflow, id, {
      incidentId: 'INC-1',
      reason: 'leaked',
      actor: 'responder',
      startedAt: toInstant(this.time.now()),
      replace: false,
      credentials,
    });
    const execution = this.machines.executions.get(id);
    if (execution === undefined) throw new Error('it was not started');
    const isRunning = ({ status }: Execution): boolean => status === 'RUNNING';
    while ([...this.machines.executions.values()].some(isRunning)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.time.still && this.time.next !== undefined) this.time.jumpTo(this.time.next);
    }
    return execution;
  }

  /** How many records of this kind each credential has, as a set of numbers. */
  recordsEach(message: string): number[] {
    const of = Map.groupBy(
      this.ledger.trail.filter((record) => record.message === message),
      ({ entity }) => entity.uid,
    );
    return [...new Set(this.ids.map((id) => of.get(id)?.length ?? 0))];
  }

  /** Copies the ledger's stream as the archiver does: in order, the same again until it is taken. Answers with what had to wait. */
  async archive(): Promise<number> {
    const { aws } = this.s3;
    const archive = new S3Archive({ aws, archive: 'archive', snapshots: 'copies' });
    let waited = 0;
    for (const record of this.ledger.trail) {
      for (;;) {
        try {
          await archive.store(record);
          break;
        } catch {
          waited++;
          this.time.jumpTo(this.time.now() + 60_000);
        }
      }
    }
    return waited;
  }
}
