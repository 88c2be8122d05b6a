import type { CredentialError } from '../errors.ts';
import type { Time } from '../time.ts';
import type { ServerClock } from './server-clock.ts';

/** Uses of one version over a time, as they are reported. */
export interface UseReport {
  readonly credential: string;
  readonly versionId: string;
  readonly succeeded: number;
  readonly refused: number;
  readonly from: string;
  readonly to: string;
}

/** A report covers less than ten minutes and is worth something for less than an hour; 50 go into one call. */
const LONGEST_MS = 9 * 60_000;
const OLDEST_MS = 55 * 60_000;
const MOST = 50;
const AHEAD_MS = 30_000;

/**
 * Counts uses by version. A report that was made up is sent as it is until it has arrived or is too old, so that a lost
 * answer counts nothing twice.
 */
export class UseCounts {
  readonly #time: Time;
  readonly #clock: ServerClock;
  readonly #counts: Map<string, { succeeded: number; refused: number }> = new Map();
  #since: number;
  #lastTo = -Infinity;
  #pending: readonly UseReport[] = [];

  constructor(time: Time, clock: ServerClock) {
    this.#time = time;
    this.#clock = clock;
    this.#since = time.monotonic();
  }

  count(credential: string, versionId: string, refused: boolean): void {
    const key = `${credential} ${versionId}`;
    const counted = this.#counts.get(key) ?? { succeeded: 0, refused: 0 };
    counted[refused ? 'refused' : 'succeeded']++;
    this.#counts.set(key, counted);
  }

  /**
   * What is to be reported now: what has not arrived, else what was counted since, with zeros for `held` that were not used:
   * silence would say nothing.
   */
  due(held: readonly { readonly credential: string; readonly versionId: string }[]): readonly UseReport[] {
    const now = this.#clock.now();
    this.#pending = this.#pending.filter(({ from }) => now - Date.parse(from) < OLDEST_MS);
    if (this.#pending.length > 0) return this.#pending.slice(0, MOST);
    for (const { credential, versionId } of held) {
      const key = `${credential} ${versionId}`;
      if (!this.#counts.has(key)) this.#counts.set(key, { succeeded: 0, refused: 0 });
    }
    // What an earlier report said of a time that has yet to come was a wrong clock.
    if (this.#lastTo > now + AHEAD_MS) this.#lastTo = -Infinity;
    const to = Math.max(now, this.#lastTo + 1);
    const counting = Math.min(LONGEST_MS, this.#time.monotonic() - this.#since);
    const from = Math.min(to, Math.max(to - Math.floor(counting), this.#lastTo));
    this.#lastTo = to;
    this.#since = this.#time.monotonic();
    this.#pending = [...this.#counts].map(([key, counted]) => {
      const [credential = '', versionId = ''] = key.split(' ');
      const times = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
      return { credential, versionId, ...counted, ...times };
    });
    this.#counts.clear();
    return this.#pending.slice(0, MOST);
  }

  /** These have arrived, or never will. */
  settle(reports: readonly UseReport[]): void {
    this.#pending = this.#pending.filter((report) => !reports.includes(report));
  }
}

/** The reports that an answer refuses by name; all of them where it names none. */
export function refusedOf({ field = '' }: CredentialError, uses: readonly UseReport[]): readonly UseReport[] {
  const named = uses[Number(/^payload\.uses\[(\d+)\]/.exec(field)?.[1] ?? NaN)];
  return named === undefined ? uses : [named];
}
