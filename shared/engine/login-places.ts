import { loginPlaceOf, type LoginPlace } from '../domain/database-logs/servers.ts';
import type { LedgerReads } from '../ports/ledger.ts';

/** How long what was read counts, and how soon it is read again where it lacks a login. */
const FRESH_MS = 60_000;
const SOONEST_MS = 10_000;

/** Where registered credentials log in, kept in memory for a minute: a busy log would read every head again and again. */
export class LoginPlaces {
  readonly #ledger: Pick<LedgerReads, 'list'>;
  readonly #clock: () => number;
  #read: { readonly at: number; readonly places: readonly LoginPlace[] } | undefined;

  constructor(ledger: Pick<LedgerReads, 'list'>, clock: () => number) {
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /** Those known now; read again where one of these logins is unknown, since it may be of a credential of this minute. */
  async knowing(logins: Iterable<string>): Promise<readonly LoginPlace[]> {
    const age = this.#read === undefined ? Infinity : this.#clock() - this.#read.at;
    const known = new Set(this.#read?.places.flatMap((place) => place.logins));
    const isEnough = age < SOONEST_MS || (age < FRESH_MS && [...logins].every((login) => known.has(login)));
    if (this.#read !== undefined && isEnough) return this.#read.places;
    const at = this.#clock();
    const places: LoginPlace[] = [];
    let page: string | undefined;
    do {
      const { items, next } = await this.#ledger.list(page);
      places.push(...items.flatMap((credential) => loginPlaceOf(credential) ?? []));
      page = next;
    } while (page !== undefined);
    this.#read = { at, places };
    return places;
  }
}
