import type { CaseState } from './case-state.ts';

/** An agent may use a value for so long after it has read it. */
export const TTL_SECONDS = 120;

export interface Login {
  readonly user: string;
  readonly password: string;
}

/**
 * A fleet that polls: every agent logs in afresh each time with a value that it has read at most a TTL ago. Whatever
 * was AWSCURRENT within the TTL must therefore work, at every moment.
 */
export class Agents {
  readonly failures: string[] = [];
  readonly #case: CaseState;
  readonly #cached = new Map<string, { login: Login; until: number }>();
  /** How many fresh logins were made. */
  logins = 0;
  #working = false;

  constructor(owner: CaseState) {
    this.#case = owner;
  }

  /**
   * From here on the agents work: in every state of the vault and the database, which change by side effects there alone,
   * and before every jump of the clock.
   */
  start(): void {
    this.#working = true;
    this.#case.calls.between = async (label) => {
      if (/^(vault|provider)\./.test(label)) await this.probe(`before ${label}`);
    };
  }

  /** Agents are to stop: an emergency is under way. */
  stop(): void {
    this.#working = false;
  }

  async probe(when: string): Promise<void> {
    if (!this.#working) return;
    const fresh = await this.#case.login();
    const now = this.#case.time.now();
    this.#cached.set(fresh.password, { login: fresh, until: now + TTL_SECONDS * 1000 });
    for (const [password, { login, until }] of this.#cached) {
      if (until < now) {
        this.#cached.delete(password);
        continue;
      }
      this.logins++;
      if (!(await this.#case.works(login)))
        this.failures.push(`an agent with ${login.user} was refused ${when}`);
    }
  }
}
