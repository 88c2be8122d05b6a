import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbFamilies } from '../../shared/adapters/dynamodb-families.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { checkChain, type AuditRecord } from '../../shared/domain/audit.ts';
import { eventOf } from '../../shared/domain/events.ts';
import type { Family, FamilyTerms } from '../../shared/domain/families.ts';
import type { Trigger } from '../../shared/domain/rotation.ts';
import { connectFamily } from '../../shared/engine/families/connect.ts';
import type { FamilyDeps } from '../../shared/engine/families/deps.ts';
import { applyFamily, type FamilyOptions } from '../../shared/engine/families/register.ts';
import { refreshDue, type Swept } from '../../shared/engine/families/sweep.ts';
import { EVENT_SOURCE, EVENT_VERSION } from '../../shared/names.ts';
import type { Stage } from '../../shared/ports/vault.ts';
import { FakeTokenServer } from '../fakes/token-server.ts';
import { TERMS } from './families.ts';
import { Calls, guarded, Killed, Process, type Fault } from './faulty.ts';
import { startTable } from './table.ts';

const schema = readFileSync(new URL('../../docs/events.schema.json', import.meta.url), 'utf8');
const conforms = new Ajv2020({ strict: false, validateFormats: false }).compile(JSON.parse(schema) as object);

const OPERATOR: Trigger = { kind: 'operator', actor: 'arn:operator' };
const VAULT_EFFECTS = ['put', 'promote', 'stripPending', 'create', 'untag'];
const SERVER_EFFECTS = ['exchange', 'refresh', 'clientCredentials', 'revoke'];

/** Half of an access token's life. */
export const HALF_LIFE_MS = 1_800_000;

/** What becomes of work that may fail. */
export const quiet = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

/** Secrets Manager and DynamoDB of the local stack, for any number of families. */
export class FamilyWorld {
  readonly stack: LocalStack;
  readonly aws: AwsCalls;

  private constructor(stack: LocalStack, aws: AwsCalls) {
    this.stack = stack;
    this.aws = aws;
  }

  static async start(): Promise<FamilyWorld> {
    const { stack, aws } = await startTable('families-test');
    return new FamilyWorld(stack, aws);
  }

  stop(): Promise<void> {
    return this.stack.stop();
  }

  /** A family of a tenant of its own, registered and connected. */
  async working(terms: Partial<FamilyTerms> = {}): Promise<FamilyCase> {
    const one = await this.registered(terms);
    await one.connect();
    return one;
  }

  /** The same that is due now. */
  async due(terms: Partial<FamilyTerms> = {}): Promise<FamilyCase> {
    const one = await this.working(terms);
    one.now += HALF_LIFE_MS;
    return one;
  }

  /** The same that nobody has consented to. */
  async registered(terms: Partial<FamilyTerms> = {}): Promise<FamilyCase> {
    const one = await this.fresh(terms);
    await one.apply();
    return one;
  }

  /** The same that nothing is there of but the client's secret. */
  async fresh(terms: Partial<FamilyTerms> = {}): Promise<FamilyCase> {
    const one = new FamilyCase(this, terms);
    await this.aws.json('secretsmanager', 'CreateSecret', {
      Name: one.clientSecret,
      SecretString: JSON.stringify({ client_secret: one.server.clientSecret }),
    });
    return one;
  }
}

/** One family, its server, its clock and its processes. */
export class FamilyCase {
  readonly name = `tools-${randomUUID().slice(0, 8)}`;
  readonly clientSecret = `oauth/${this.name}`;
  readonly calls = new Calls();
  readonly published: { readonly detailType: string; readonly detail: Record<string, unknown> }[] = [];
  readonly terms: FamilyTerms;
  readonly server: FakeTokenServer;
  readonly vault: SecretsManagerVault;
  readonly families: DynamoDbFamilies;
  readonly deps: FamilyDeps;
  readonly options: FamilyOptions;
  now = Date.parse('2026-11-26T10:00:00.000Z');
  readonly #aws: AwsCalls;

  constructor({ aws, stack }: FamilyWorld, terms: Partial<FamilyTerms>) {
    const tenant = `t-${randomUUID()}`;
    this.#aws = aws;
    const clock = (): number => this.now;
    this.terms = { ...TERMS, client: { ...TERMS.client, secret: this.clientSecret }, ...terms };
    this.server = new FakeTokenServer(clock);
    this.server.graceSeconds = this.terms.graceSeconds;
    this.server.rotation = this.terms.rotation;
    this.vault = new SecretsManagerVault(aws);
    this.families = new DynamoDbFamilies({ aws, table: 'ledger', tenant, clock });
    this.options = {
      home: { tenant, account: stack.accountId, region: stack.region },
      stage: 'test',
      secretPrefix: `${tenant}/`,
      secretsKey: 'alias/aws/secretsmanager',
      sealingKey: 'alias/aws/secretsmanager',
    };
    this.deps = {
      families: this.families,
      vault: this.vault,
      server: this.server,
      events: {
        publish: async (detailType, detail) =>
          void this.published.push({ detailType, detail: detail as Record<string, unknown> }),
      },
      readClientSecret: async (secret, stage) => this.vault.read(secret, { stage }),
      clock,
      newId: randomUUID,
      pause: async (ms) => {
        this.now += ms;
        await new Promise((resolve) => setImmediate(resolve));
      },
    };
  }

  /** Runs work as a process of its own; one that is killed ends without a word. Other errors are the caller's. */
  async process<T>(
    work: (deps: FamilyDeps) => Promise<T>,
    from: FamilyDeps = this.deps,
  ): Promise<T | 'killed'> {
    const process = new Process();
    const port = <P extends object>(target: P, name: string, effects: readonly string[]): P =>
      guarded(target, name, effects, this.calls, process);
    const deps = {
      ...from,
      families: port(from.families, 'ledger', ['create', 'commit', 'release']),
      vault: port(from.vault, 'vault', VAULT_EFFECTS),
      server: port(from.server, 'server', SERVER_EFFECTS),
      events: port(from.events, 'events', ['publish']),
    };
    try {
      return await Promise.race([work(deps), process.death]);
    } catch (error) {
      if (error instanceof Killed) return 'killed';
      throw error;
    }
  }

  /** Labels of the side effects of `work`, without a fault. */
  async effects(work: () => Promise<unknown>): Promise<string[]> {
    this.calls.arm();
    await work();
    this.calls.disarm();
    return [...this.calls.labels];
  }

  apply(terms = this.terms): Promise<unknown> {
    return applyFamily(this.deps, this.options, {
      name: this.name,
      terms,
      trigger: OPERATOR,
      dryRun: false,
    });
  }

  connect(): Promise<Family> {
    const consent = this.terms.grant === 'authorization_code' ? this.server.code() : undefined;
    return connectFamily(this.deps, { name: this.name, consent, trigger: OPERATOR });
  }

  /** One run of the coordinator, as its schedule starts it. */
  run(deps: FamilyDeps = this.deps): Promise<Swept> {
    return refreshDue(deps, this.now + 50_000);
  }

  /** Lets the coordinator's schedule run for so many minutes. */
  async minutes(count: number): Promise<void> {
    for (let minute = 0; minute < count; minute++) {
      const began = this.now;
      await this.process((deps) => this.run(deps));
      this.now = Math.max(this.now, began + 60_000);
    }
  }

  async family(): Promise<Family> {
    const family = await this.families.familyByName(this.name);
    if (family === undefined) throw new Error(`no family ${this.name}`);
    return family;
  }

  async records(): Promise<AuditRecord[]> {
    const { id } = await this.family();
    const records: AuditRecord[] = [];
    for await (const record of this.families.records(id)) records.push(record);
    return records.reverse();
  }

  async actions(): Promise<string[]> {
    return (await this.records()).map(({ message }) => message);
  }

  /** All that is published, as the bus has it. */
  async events(): Promise<object[]> {
    const { home } = this.options;
    const ofRecords = (await this.records()).flatMap((record) => eventOf(record) ?? []);
    return [...ofRecords, ...this.published].map(({ detailType, detail }) => ({
      source: EVENT_SOURCE,
      'detail-type': detailType,
      detail: { version: EVENT_VERSION, ...home, ...detail },
    }));
  }

  /** What agents read. */
  async read(stage: Stage = 'AWSCURRENT'): Promise<Record<string, string>> {
    const text = await this.vault.read((await this.family()).secretName, { stage });
    return text === undefined ? {} : (JSON.parse(text.reveal()) as Record<string, string>);
  }

  /** The client gets another secret; the vault has it under the label. */
  async rotateClient(secret: string, stage: Stage): Promise<void> {
    this.server.clientSecret = secret;
    await this.#aws.json('secretsmanager', 'PutSecretValue', {
      SecretId: this.clientSecret,
      SecretString: JSON.stringify({ client_secret: secret }),
      VersionStages: [stage],
    });
  }

  /** What holds of every family, whatever has happened to it. */
  async assertSound(): Promise<void> {
    const family = await this.family();
    expect(checkChain(await this.records(), family)).toEqual([]);
    for (const event of await this.events())
      expect({ event, valid: conforms(event), errors: conforms.errors }).toMatchObject({ valid: true });
    const stored = JSON.stringify([await this.records(), family, this.published]);
    for (const { refresh, live, spent } of this.server.families)
      for (const token of [refresh, ...live, ...spent.keys()]) expect(stored).not.toContain(token);
  }

  /** Agents have a token that works, it comes from the newest answer, and the family goes on. */
  async assertWorks(): Promise<void> {
    await this.assertSound();
    const family = await this.family();
    expect(family).toMatchObject({ status: 'active' });
    expect(family.attempt).toBeUndefined();
    const { access_token: token = '', expires_at: expires = '' } = await this.read();
    expect(this.server.takes(token)).toBe(true);
    expect(expires).toBe(family.tokens?.expiresAt);
    expect(Date.parse(expires)).toBeGreaterThan(this.now);
    expect(this.server.reused).toBe(0);
  }
}

/** Every fault at every side effect of `labels`. */
export function everyFault(labels: readonly string[]): Fault[] {
  return labels.flatMap((_label, index) =>
    (['before', 'after', 'lost', 'throttled'] as const).map((mode) => ({ at: index + 1, mode })),
  );
}
