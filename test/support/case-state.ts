import { checkChain, type AuditRecord } from '../../shared/domain/audit.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { fingerprint } from '../../shared/domain/fingerprint.ts';
import { standingOf } from '../../shared/domain/leak.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { isOver, type Rotation } from '../../shared/domain/rotation.ts';
import type { PostgresTarget } from '../../shared/providers/postgresql/target.ts';
import type { Calls, ProcessDeps } from './faulty.ts';
import type { Machines } from './machines.ts';
import type { VirtualTime } from './virtual-time.ts';
import type { Agents, Login } from './agents.ts';
import type { EngineWorld } from './engine-world.ts';

/** What there is of one credential: in the ledger, in the vault, at the database, among the executions. */
export abstract class CaseState {
  abstract readonly world: EngineWorld;
  abstract readonly name: string;
  abstract readonly secret: string;
  abstract readonly target: PostgresTarget;
  abstract readonly deps: ProcessDeps;
  abstract readonly machines: Machines;
  abstract readonly agents: Agents;
  abstract readonly time: VirtualTime;
  abstract readonly calls: Calls;
  #id: string | undefined;

  async id(): Promise<string> {
    this.#id ??= await this.deps.ledger.idByName(this.name);
    if (this.#id === undefined) throw new Error(`${this.name} is not registered`);
    return this.#id;
  }

  async credential(): Promise<Credential> {
    const found = await this.deps.ledger.credential(await this.id());
    if (found === undefined) throw new Error(`${this.name} is not in the ledger`);
    return found;
  }

  async rotation(token: string): Promise<Rotation> {
    const found = await this.deps.ledger.rotation(await this.id(), token);
    if (found === undefined) throw new Error(`no rotation ${token}`);
    return found;
  }

  async activeRotation(): Promise<Rotation | undefined> {
    const id = await this.deps.ledger.idByName(this.name);
    if (id === undefined) return undefined;
    const active = (await this.deps.ledger.credential(id))?.activeRotation;
    return active === undefined ? undefined : this.deps.ledger.rotation(id, active);
  }

  async records(): Promise<AuditRecord[]> {
    const records: AuditRecord[] = [];
    for await (const record of this.deps.ledger.records(await this.id())) records.push(record);
    return records;
  }

  async actions(): Promise<string[]> {
    return (await this.records()).map((record) => record.message);
  }

  /** Stages by version. */
  async labels(): Promise<Readonly<Record<string, readonly string[]>>> {
    return (await this.deps.vault.describe(this.secret))?.versions ?? {};
  }

  /** Moves AWSPENDING to a version, as a repeated RotateSecret does; false where there is no such version. */
  async labelPending(version: string): Promise<boolean> {
    const pending = Object.entries(await this.labels()).find(([, stages]) => stages.includes('AWSPENDING'));
    const from = pending === undefined ? {} : { RemoveFromVersionId: pending[0] };
    return this.world.aws
      .json('secretsmanager', 'UpdateSecretVersionStage', {
        SecretId: this.secret,
        VersionStage: 'AWSPENDING',
        MoveToVersionId: version,
        ...from,
      })
      .then(
        () => true,
        () => false,
      );
  }

  /** The login in a version of the secret. */
  async login(
    select: { versionId?: string; stage?: 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS' } = {
      stage: 'AWSCURRENT',
    },
  ): Promise<Login> {
    const text = await this.deps.vault.read(this.secret, select);
    if (text === undefined) throw new Error('the secret has no such value');
    const { username, password } = JSON.parse(text.reveal()) as { username: string; password: string };
    return { user: username, password };
  }

  /** Whether the database lets this login in now. */
  async works(login: Login): Promise<boolean> {
    try {
      const client = await this.world.server.connect(login, this.target.database);
      await client.end();
      return true;
    } catch (error) {
      if (String((error as { code?: string }).code).startsWith('28')) return false;
      throw error;
    }
  }

  /** Whether a login's value is found by its fingerprint, as one that may work (or is only observed). */
  async foundLive({ password }: Login): Promise<boolean> {
    const known = await this.deps.ledger.byFingerprint(fingerprint(new Redacted(password)));
    const standings = known.map(async (key) =>
      standingOf(key, await this.deps.ledger.credential(key.credentialId), ''),
    );
    return (await Promise.all(standings)).some((standing) => ['live', 'observed'].includes(standing));
  }

  /** Roles of this credential that may log in, whatever Rekey believes. */
  async openSlots(): Promise<string[]> {
    const rows = await this.world.server.sql(
      `SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname LIKE '${this.target.ownerRole}\\_%' ORDER BY 1`,
    );
    return rows.map((row) => String(row['rolname']));
  }

  /**
   * Everything that must hold once all has come to rest: one live credential, which is AWSCURRENT's; no orphan; a
   * whole audit chain; AWSPENDING on nothing but the current version; rotations over, or stuck and paged. Returns what
   * doesn't.
   */
  async faults(): Promise<string[]> {
    const found: string[] = [];
    const credential = await this.credential();
    const [labels, slots, login, records] = await Promise.all([
      this.labels(),
      this.openSlots(),
      this.login(),
      this.records(),
    ]);
    if (slots.length !== 1) found.push(`${slots.length} users may log in: ${slots.join(', ')}`);
    if (slots[0] !== login.user)
      found.push(`AWSCURRENT is ${login.user}, but ${slots.join(', ')} may log in`);
    if (!(await this.works(login))) found.push("AWSCURRENT's value doesn't log in");
    if (!(await this.foundLive(login))) found.push("AWSCURRENT's value isn't found by its fingerprint");
    const current = Object.entries(labels).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0];
    const pending = Object.entries(labels).find(([, stages]) => stages.includes('AWSPENDING'))?.[0];
    if (pending !== undefined && pending !== current) found.push(`AWSPENDING is left on ${pending}`);
    if (credential.current?.versionId !== current) found.push('the ledger has another current version');
    if (credential.status !== 'active') found.push(`the credential is ${credential.status}`);
    const live = credential.live.map((handle) => handle.id);
    if (live.join() !== slots.join()) found.push(`the ledger has ${live.join()} live, not ${slots.join()}`);
    for (const fault of checkChain(records, credential)) found.push(`audit: ${JSON.stringify(fault)}`);
    for (const rotation of await this.deps.ledger.rotations(credential.id, 50)) {
      const paged = records.some(
        (record) => record.message === 'stuck' && record.metadata.correlation_uid === rotation.id,
      );
      if (!isOver(rotation.phase) && !(rotation.stuck === true && paged))
        found.push(`rotation ${rotation.id} is left in ${rotation.phase}`);
    }
    if (credential.activeRotation !== undefined) {
      const active = await this.rotation(credential.activeRotation);
      if (isOver(active.phase)) found.push(`the credential is still reserved by a ${active.phase} rotation`);
    }
    for (const { status, name } of this.machines.executions.values())
      if (status === 'RUNNING') found.push(`execution ${name} still runs`);
    return [...found, ...this.agents.failures];
  }
}
