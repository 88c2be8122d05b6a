import { AgentApiError, meaningOf, textIn, understood, type AgentApi } from './api.ts';
import type { Owed } from './followed.ts';
import { InstanceKey } from './instance-key.ts';
import { noticesIn, type Notice } from './notice.ts';
import type { UseReport } from './uses.ts';

/** A version that this process uses. */
export interface Held {
  readonly credential: string;
  readonly versionId: string;
}

/** What the opening of a session tells. */
export interface Opened {
  readonly notices: readonly Notice[];
  readonly heartbeatMs: number;
}

const HEARTBEAT_MS = 60_000;

/**
 * This process as the agent API knows it: its session, and what it says there, signed with a key of its own. Nothing is
 * repeated here, but an opening that came at another time than it says: who calls knows what is worth it.
 */
export class Instance {
  readonly #api: AgentApi;
  readonly #name: string;
  readonly #pact: object | undefined;
  readonly #key: InstanceKey;
  #session: string | undefined;
  /** An opening may have been heard although its answer hasn't. */
  #isUnsure = false;
  #registered = false;
  /** The last notices that had a tag. */
  #tagged: { readonly etag: string; readonly notices: readonly Notice[] } | undefined;

  constructor(api: AgentApi, name: string, pact: object | undefined) {
    this.#api = api;
    this.#name = name;
    this.#pact = pact;
    this.#key = InstanceKey.take(api.agentUrl);
  }

  /** Id of the session; undefined while there is none. */
  get session(): string | undefined {
    return this.#session;
  }

  /** The same instance with the same key again is the same session: an answer may get lost. */
  async open(): Promise<Opened> {
    if (this.#pact !== undefined && !this.#registered) {
      await this.#api.call('PUT', 'pact', this.#pact);
      this.#registered = true;
    }
    const body = await this.#askToOpen();
    const notices = understood(noticesIn(body));
    this.#session = textIn(body, 'session');
    this.#isUnsure = false;
    this.#tagged = undefined;
    const { heartbeatSeconds } = body as { heartbeatSeconds?: unknown };
    const isTime = typeof heartbeatSeconds === 'number' && heartbeatSeconds >= 1 && heartbeatSeconds <= 3600;
    return { notices, heartbeatMs: isTime ? heartbeatSeconds * 1000 : HEARTBEAT_MS };
  }

  /** Opens what may be open without an answer, so that it can be closed; else Rekey would wait for nobody. */
  async findOut(): Promise<void> {
    if (!this.#isUnsure) return;
    try {
      await this.open();
    } catch (error) {
      // A refusal says it as well: none is open.
      if (this.#isUnsure) throw error;
    }
  }

  /** Where an answer is lost, the next one says what is true then: each has a number of its own. */
  async heartbeat(holds: readonly Held[]): Promise<readonly Notice[]> {
    const sequence = this.#key.next();
    return understood(
      noticesIn(await this.#say('heartbeat', { heartbeat: this.#signed({ sequence, holds }) })),
    );
  }

  /** Where nothing has changed, those of the last look: what couldn't be done then is tried again. */
  async notices(): Promise<readonly Notice[]> {
    const known = this.#tagged;
    const { body, etag } = await this.#api.call('GET', this.#path('notices'), undefined, known?.etag);
    const notices = understood(body === undefined ? known?.notices : noticesIn(body));
    this.#tagged = etag === undefined ? undefined : { etag, notices };
    return notices;
  }

  async acknowledge(
    name: string,
    { rotation, fingerprint, versionId, prove }: Owed,
    persisted: boolean,
  ): Promise<void> {
    const session = this.#session ?? '';
    const challenge = textIn(await this.#say('challenges', { rotation }), 'challenge');
    const proven = { challenge, session, rotation, versionId, fingerprint };
    const proof = await prove(proven);
    const acknowledgement = this.#signed({ ...proven, ...proof, credential: name, persisted });
    await this.#say('acknowledgements', { acknowledgement });
  }

  async report(uses: readonly UseReport[]): Promise<void> {
    await this.#say('uses', { uses: this.#signed({ uses }) });
  }

  async close(): Promise<void> {
    await this.#say('close', { close: this.#signed({ closed: true }) });
    this.#session = undefined;
  }

  /** Nothing is said here any more: its key is free for another session, unless one may be open under it. */
  end(): void {
    if (this.#session === undefined && !this.#isUnsure) this.#key.giveBack(this.#api.agentUrl);
  }

  /** Forgets what the agent API no longer knows, as its refusal says. */
  heed(refusal: unknown): void {
    const { isLost, isUnregistered } = meaningOf(refusal);
    if (isLost) this.#session = undefined;
    if (isUnregistered) this.#registered = false;
  }

  async #askToOpen(): Promise<unknown> {
    this.#isUnsure = true;
    try {
      return await this.#sendOpening().catch(async (error: unknown) => {
        // The server's time is known now, whatever this machine's clock says.
        if (meaningOf(error).isOutOfTime) return this.#sendOpening();
        throw error;
      });
    } catch (error) {
      this.#isUnsure = !(error instanceof AgentApiError && error.status < 500);
      throw error;
    }
  }

  async #sendOpening(): Promise<unknown> {
    const at = new Date(this.#api.clock.now()).toISOString();
    const said = { agent: this.#api.agent, instance: this.#name, sequence: this.#key.next(), at };
    return (await this.#api.call('POST', 'sessions', { key: this.#key.jwk, opening: this.#key.sign(said) }))
      .body;
  }

  /** The session stands in all that is signed, so that none of it serves in another. */
  #signed(payload: object): string {
    return this.#key.sign({ session: this.#session ?? '', ...payload });
  }

  async #say(what: string, body: object): Promise<unknown> {
    const answer = await this.#api.call('POST', this.#path(what), body);
    return answer.body;
  }

  #path(what: string): string {
    return `sessions/${encodeURIComponent(this.#session ?? '')}/${what}`;
  }
}
