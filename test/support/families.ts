import { randomUUID } from 'node:crypto';
import { chained, GENESIS, isRoutine, type AuditDraft, type AuditRecord } from '../../shared/domain/audit.ts';
import { toInstant, type Instant } from '../../shared/domain/clock.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { familySecrets, type Family, type FamilyTerms } from '../../shared/domain/families.ts';
import type { KnownToken } from '../../shared/domain/family-leak.ts';
import { nextFamilyLook } from '../../shared/domain/family-refresh.ts';
import type { HeldSignal } from '../../shared/domain/signals/held.ts';
import type { FamilyLedger } from '../../shared/ports/families.ts';
import type { Page } from '../../shared/ports/ledger.ts';

/** Families in memory, held to the same contract as those in DynamoDB. */
export class MemoryFamilies implements FamilyLedger {
  readonly heads = new Map<string, Family>();
  readonly chains = new Map<string, AuditRecord[]>();
  readonly tokens = new Map<string, KnownToken>();
  readonly held = new Map<string, HeldSignal>();
  readonly #locks = new Map<string, string>();
  readonly #clock: () => number;

  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  family(id: string): Promise<Family | undefined> {
    return Promise.resolve(structuredClone(this.heads.get(id)));
  }

  familyByName(name: string): Promise<Family | undefined> {
    return this.family(this.#locks.get(`name ${name}`) ?? '');
  }

  families(): Promise<Page<Family>> {
    const items = [...this.heads.values()].filter(({ status }) => status !== 'unregistered');
    return Promise.resolve(structuredClone({ items: items.sort((a, b) => (a.name < b.name ? -1 : 1)) }));
  }

  byFingerprint(fingerprint: string): Promise<readonly KnownToken[]> {
    return Promise.resolve([...this.tokens.values()].filter((token) => token.fingerprint === fingerprint));
  }

  due(by: Instant, limit: number): Promise<readonly string[]> {
    const due = [...this.heads.values()].flatMap((family) => {
      const at = nextFamilyLook(family);
      return at !== undefined && at <= by ? [{ id: family.id, at }] : [];
    });
    const sorted = due.sort((a, b) => (a.at < b.at ? -1 : 1));
    return Promise.resolve(sorted.slice(0, limit).map(({ id }) => id));
  }

  async *records(id: string): AsyncIterable<AuditRecord> {
    yield* await Promise.resolve(structuredClone(this.chains.get(id) ?? []).reverse());
  }

  async *recordsOfMonth(month: string): AsyncIterable<AuditRecord> {
    const all = [...this.chains.values()].flat();
    const own = all.filter((record) => record.time_dt.startsWith(month) && !isRoutine(record));
    yield* await Promise.resolve(structuredClone(own.sort((a, b) => a.time - b.time)));
  }

  create(family: Family, record: AuditDraft): Promise<Family> {
    const locks = locksOf(family);
    if (this.heads.has(family.id) || locks.some((lock) => this.#locks.has(lock))) return outrun();
    for (const lock of locks) this.#locks.set(lock, family.id);
    return this.#write(family, [record]);
  }

  commit(change: Parameters<FamilyLedger['commit']>[0]): Promise<Family> {
    const { before, after, records = [], tokens = [], held } = change;
    const now = this.heads.get(before.id);
    if (now?.version !== before.version) return outrun();
    if (held !== undefined && (this.held.get(held.id)?.version ?? 0) !== held.version - 1) return outrun();
    if (held !== undefined) this.held.set(held.id, held);
    for (const token of tokens) this.tokens.set(`${token.fingerprint} ${token.familyId}`, token);
    return this.#write({ ...after, seq: before.seq, chain: before.chain }, records);
  }

  async release(family: Family, record: AuditDraft): Promise<void> {
    await this.commit({ before: family, after: { ...family, status: 'unregistered' }, records: [record] });
    for (const lock of locksOf(family)) this.#locks.delete(lock);
  }

  #write(family: Family, drafts: readonly AuditDraft[]): Promise<Family> {
    const { seq, chain, records } = chained({ ...family, holders: family.terms.holders }, drafts);
    const updatedAt = toInstant(this.#clock());
    // As DynamoDB has it: what is undefined isn't there.
    const stored = JSON.parse(
      JSON.stringify({ ...family, seq, chain, version: family.version + 1, updatedAt }),
    ) as Family;
    this.heads.set(family.id, stored);
    this.chains.set(family.id, [...(this.chains.get(family.id) ?? []), ...records]);
    return Promise.resolve(structuredClone(stored));
  }
}

function locksOf({ name, secretName, refreshSecretName }: Family): string[] {
  return [`name ${name}`, `secret ${secretName}`, `secret ${refreshSecretName}`];
}

function outrun(): Promise<never> {
  return Promise.reject(new RekeyError('ERR_CONFLICT', 'somebody else was faster'));
}

/** Terms of a family that rotates its refresh tokens. */
export const TERMS: FamilyTerms = {
  owner: 'tools team',
  server: { issuer: 'https://login.example' },
  client: { id: 'tools-fleet', authentication: 'client_secret_basic', secret: 'oauth/tools-fleet' },
  grant: 'authorization_code',
  scopes: ['tools:read'],
  rotation: true,
  graceSeconds: 0,
  holders: [{ kind: 'polling', name: 'tool-agents', ttlSeconds: 60 }],
};

/** A family as it is right after its registration. */
export function freshFamily(changes: Partial<Family> = {}, now = Date.now()): Family {
  const id = randomUUID();
  const name = changes.name ?? `family-${id}`;
  return {
    id,
    tenant: 'default',
    account: '111122223333',
    region: 'eu-central-1',
    name,
    terms: TERMS,
    ...familySecrets('agents/', name),
    provisioned: true,
    status: 'consent-needed',
    needs: { why: 'first', since: toInstant(now) },
    attempts: 0,
    version: 0,
    seq: 0,
    chain: GENESIS,
    registeredAt: toInstant(now),
    updatedAt: toInstant(now),
    ...changes,
  };
}
