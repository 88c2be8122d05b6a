import type { CredentialHandle } from '../../shared/domain/credential.ts';
import type { Redacted } from '../../shared/domain/redacted.ts';
import type { CredentialProvider, Issued, ProviderContext } from '../../shared/providers/provider.ts';

/** A login, request or connection that an agent keeps open. */
export interface AgentSession {
  /** Whether it can still do its work. */
  works(): Promise<boolean>;
  close(): Promise<void>;
}

/** What a provider's tests supply, so that `describeProvider` can run the contract against a real upstream. */
export interface ProviderHarness<T, M> {
  readonly provider: CredentialProvider<T, M>;
  /** The upstream knows no sessions: each request carries the credential. */
  readonly stateless?: boolean;
  /** Starts the upstream. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A target that no other test uses. */
  freshTarget(): Promise<T>;
  /** The same target at another place, with which a material must not be confused. */
  elsewhere(target: T): T;
  context(target: T): ProviderContext;
  /** Uses the credential without the provider's help; throws where the upstream refuses it. */
  open(target: T, material: Redacted<M>): Promise<AgentSession>;
  /** The same material with another secret part. */
  withWrongSecret(material: Redacted<M>): Redacted<M>;
  /** The same material for somebody else. */
  withOtherUser(material: Redacted<M>): Redacted<M>;
  /** Makes a credential at the upstream that isn't Rekey's, near the target's own. */
  addForeignCredential(target: T): Promise<void>;
  /** What is issued exists before: an operator has filled a pool. */
  readonly pooled?: boolean;
  /** There are as many places as may live, and all have a value from the beginning: what isn't Rekey's is elsewhere. */
  readonly slots?: boolean;
  /**
   * Lets the administrative login see nothing of what there is, as one of another account, until what it answers with is
   * called; of an upstream where a login of another account is let in.
   */
  blind?(): () => void;
  /** Makes a working credential that isn't Rekey's, but which the target declares; for providers that can adopt. */
  addExistingCredential?(target: T): Promise<Redacted<M>>;
}

/** What has been issued, and the token under which it was. */
export interface Live<M> extends Issued<M> {
  readonly token: string;
}

/** One credential's life at the upstream, the way the engine lives it. */
export class Life<T, M> {
  private readonly harness: ProviderHarness<T, M>;
  private readonly provider: CredentialProvider<T, M>;
  readonly target: T;
  readonly ctx: ProviderContext;
  private generation = 0;

  private constructor(harness: ProviderHarness<T, M>, target: T) {
    this.harness = harness;
    this.provider = harness.provider;
    this.target = target;
    this.ctx = harness.context(target);
  }

  static async begin<T, M>(harness: ProviderHarness<T, M>): Promise<Life<T, M>> {
    return new Life(harness, await harness.freshTarget());
  }

  nextGeneration(): number {
    return ++this.generation;
  }

  async issue(
    current?: CredentialHandle,
    token = newToken(),
    generation = this.nextGeneration(),
  ): Promise<Live<M>> {
    const ctx = { ...this.ctx, generation, ...(current === undefined ? {} : { current }) };
    return { ...(await this.provider.issue(this.target, token, ctx)), token };
  }

  async activate(live: Live<M>): Promise<void> {
    await this.provider.activate?.(this.target, live.token, live, this.ctx);
  }

  async rotate(current?: CredentialHandle): Promise<Live<M>> {
    const next = await this.issue(current);
    await this.activate(next);
    await this.provider.verify(this.target, next.material, this.ctx);
    return next;
  }

  /** What exists becomes this credential's own, the way a take-over does it. */
  async adopt(material: Redacted<M>): Promise<Live<M>> {
    const { adoption } = this.provider;
    if (adoption === undefined) throw new Error('this provider adopts nothing');
    const token = newToken();
    const id = await adoption.identify(this.target, material, this.ctx);
    const found = { handle: { id, generation: this.nextGeneration(), token }, material };
    return { handle: await adoption.adopt(this.target, token, found, this.ctx), material, token };
  }

  async retire({ handle }: Issued<M>): Promise<void> {
    const done = await this.provider.revoke(this.target, handle, { endSessions: false }, this.ctx);
    if (!done.confirmed) throw new Error(`the revocation is not confirmed: ${done.detail}`);
  }

  /** Whether an agent can work with it. */
  async works({ material }: Issued<M>): Promise<boolean> {
    try {
      const session = await this.harness.open(this.target, material);
      try {
        return await session.works();
      } finally {
        await session.close();
      }
    } catch {
      return false;
    }
  }

  /** What the upstream lists; where it can't list, `otherwise`. */
  async list(otherwise: readonly Issued<M>[] = []): Promise<string[]> {
    const listed = await this.provider.list?.(this.target, this.ctx);
    const handles = listed ?? otherwise.map(({ handle }) => handle);
    return handles.map(label).sort();
  }
}

/** A handle as `Life.list` names it. */
export const label = ({ id, generation }: CredentialHandle): string => `${id}#${generation}`;

let tokens = 0;
/** As Secrets Manager mints them: 36 characters. */
function newToken(): string {
  return `00000000-0000-4000-8000-${String(++tokens).padStart(12, '0')}`;
}

/** What an action throws; fails where it throws nothing. */
export async function failureOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  throw new Error('expected a refusal, and there was none');
}
