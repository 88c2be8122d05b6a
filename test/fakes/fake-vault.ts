import type { Stage, Vault, VaultVersion } from '../../client/src/vault.ts';

interface Stored {
  readonly versionId: string;
  readonly createdAt: number;
  readonly value: string;
}

/** What a vault does with the next reads; undefined: it answers. */
export type Fault = 'fails' | 'throttles' | 'hangs' | 'hangs deaf' | 'garbage' | undefined;

/** A vault of one secret that moves its labels as Secrets Manager does, and fails as it is told. */
export class FakeVault implements Vault {
  readonly #versions = new Map<string, Stored>();
  readonly #labels = new Map<Stage, string>();
  #made = 0;
  fault: Fault;
  /** Labels that were asked for, in order. */
  readonly reads: Stage[] = [];
  /** Runs before each answer. */
  before: (stage: Stage) => void = () => undefined;

  /** A new version; without a label nobody reads it. */
  put(value: string, label?: Stage, id?: string): string {
    this.#made++;
    const versionId = id ?? `v${this.#made}`;
    this.#versions.set(versionId, { versionId, value, createdAt: this.#made * 1000 });
    if (label === 'AWSCURRENT') this.promote(versionId);
    else if (label !== undefined) this.#labels.set(label, versionId);
    return versionId;
  }

  /** AWSCURRENT moves, also back, and AWSPREVIOUS goes to where it was. AWSPENDING stays where it is. */
  promote(versionId: string): void {
    const before = this.#labels.get('AWSCURRENT');
    if (before !== undefined && before !== versionId) this.#labels.set('AWSPREVIOUS', before);
    this.#labels.set('AWSCURRENT', versionId);
  }

  strip(stage: Stage): void {
    this.#labels.delete(stage);
  }

  /** How many reads of AWSCURRENT there were. */
  get calls(): number {
    return this.reads.filter((stage) => stage === 'AWSCURRENT').length;
  }

  async read(_secretId: string, stage: Stage, signal: AbortSignal): Promise<VaultVersion | undefined> {
    this.reads.push(stage);
    this.before(stage);
    // An answer takes a turn at least, as over any network.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#misbehave(signal);
    const stored = this.#versions.get(this.#labels.get(stage) ?? '');
    if (stored === undefined) return undefined;
    const stages = [...this.#labels].filter(([, id]) => id === stored.versionId).map(([label]) => label);
    return { ...stored, stages };
  }

  async #misbehave(signal: AbortSignal): Promise<void> {
    if (this.fault === 'fails') throw new Error('connect ECONNREFUSED');
    if (this.fault === 'throttles')
      throw Object.assign(new Error('Rate exceeded'), { name: 'ThrottlingException' });
    if (this.fault === 'garbage') throw new SyntaxError('Unexpected token < in JSON');
    if (this.fault === 'hangs deaf') await new Promise(() => undefined);
    if (this.fault === 'hangs') {
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    }
  }
}
