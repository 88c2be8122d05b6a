import { createCredentialSource } from '../../client/src/create.ts';
import type { CredentialSource } from '../../client/src/credential-source.ts';
import type { SourceOptions } from '../../client/src/options.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FakeVault } from '../fakes/fake-vault.ts';

/** What a test of a source needs. */
export interface SourceCase {
  readonly vault: FakeVault;
  readonly time: FakeTime;
  readonly source: CredentialSource;
}

/** A source of a secret whose version v1, `first`, is current; a lifetime of 100 seconds, a limit of 1,000. */
export async function sourceCase(more: Partial<SourceOptions> = {}, first = 'one'): Promise<SourceCase> {
  const vault = new FakeVault();
  const time = new FakeTime();
  vault.put(first, 'AWSCURRENT');
  const options = { secretId: 'agents/db', vault, time, lifetimeSeconds: 100, staleLimitSeconds: 1_000 };
  return { vault, time, source: await createCredentialSource({ ...options, ...more }) };
}

/** An upstream that takes only some values. */
export class FakeUpstream {
  readonly live: Set<string>;
  /** Values that were presented, in order. */
  readonly seen: string[] = [];

  constructor(...live: string[]) {
    this.live = new Set(live);
  }

  /** @throws an error like that of an HTTP SDK where the value isn't live */
  async call(value: string): Promise<string> {
    this.seen.push(value);
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.live.has(value)) throw Object.assign(new Error('unauthorized'), { status: 401 });
    return `done with ${value}`;
  }
}
