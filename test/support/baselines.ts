import { NOTHING_KNOWN, type Baseline } from '../../shared/domain/anomalies/baseline.ts';
import type { Suspicion } from '../../shared/domain/anomalies/suspicion.ts';
import type { Baselines, KeptBaseline, Progress } from '../../shared/ports/baselines.ts';

/** What is usual, in memory. */
export class FakeBaselines implements Baselines {
  readonly kept = new Map<string, KeptBaseline>();
  readonly waiting = new Map<string, Suspicion>();
  readonly told = new Set<string>();
  #progress: Progress | undefined;
  /** Runs before each write, which it may fail. */
  before: (what: 'keep' | 'suspect' | 'proceed') => void = () => undefined;

  read(secret: string, of?: string): Promise<KeptBaseline> {
    return Promise.resolve(this.kept.get(`${secret} ${of ?? ''}`) ?? { baseline: NOTHING_KNOWN, version: 0 });
  }

  async keep(secret: string, of: string | undefined, { baseline, version }: KeptBaseline): Promise<boolean> {
    this.before('keep');
    await Promise.resolve();
    const key = `${secret} ${of ?? ''}`;
    if ((this.kept.get(key)?.version ?? 0) !== version) return false;
    this.kept.set(key, { baseline, version: version + 1 });
    return true;
  }

  suspect(suspicion: Suspicion): Promise<void> {
    this.before('suspect');
    if (!this.told.has(suspicion.id) && !this.waiting.has(suspicion.id))
      this.waiting.set(suspicion.id, suspicion);
    return Promise.resolve();
  }

  suspicions(): Promise<readonly Suspicion[]> {
    return Promise.resolve([...this.waiting.values()]);
  }

  weighed({ id }: Suspicion): Promise<void> {
    this.waiting.delete(id);
    this.told.add(id);
    return Promise.resolve();
  }

  progress(): Promise<Progress | undefined> {
    return Promise.resolve(this.#progress);
  }

  async proceed(progress: Progress): Promise<void> {
    this.before('proceed');
    await Promise.resolve();
    this.#progress = progress;
  }

  /** All that is known, by secret and reader. */
  get known(): Readonly<Record<string, Baseline>> {
    return Object.fromEntries([...this.kept].map(([key, { baseline }]) => [key, baseline]));
  }
}
