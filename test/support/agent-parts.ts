import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import {
  newestNumber,
  type Acknowledgement,
  type Pact,
  type Session,
  type Stray,
  type UseReport,
} from '../../shared/domain/agents.ts';
import { toInstant, type Clock } from '../../shared/domain/clock.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { AgentStore, SaidNow } from '../../shared/ports/agents.ts';
import type { SealContext, Sealer } from '../../shared/ports/sealer.ts';

/** What agents have said, in memory; as the ledger's table keeps it. */
export class MemoryAgentStore implements AgentStore {
  readonly all = new Map<string, Session>();
  /** Instances that have stopped sending heartbeats; every other one is seen now. */
  readonly silent = new Set<string>();
  readonly said: Acknowledgement[] = [];
  readonly reported: UseReport[] = [];
  readonly strayed: Stray[] = [];
  readonly #clock: Clock;
  readonly #pacts = new Map<string, Pact>();
  readonly #challenges = new Set<string>();

  constructor(clock: Clock = Date.now) {
    this.#clock = clock;
  }

  async pact(agent: string): Promise<Pact | undefined> {
    return this.#pacts.get(agent);
  }

  async pacts() {
    return { items: [...this.#pacts.values()] };
  }

  async putPact(pact: Pact): Promise<void> {
    this.#pacts.set(pact.agent, pact);
  }

  async session(agent: string, id: string): Promise<Session | undefined> {
    return this.all.get(`${agent} ${id}`);
  }

  async sessions(agent: string): Promise<readonly Session[]> {
    const seenAt = toInstant(this.#clock());
    return [...this.all.values()]
      .filter((session) => session.agent === agent)
      .map((session) => (this.silent.has(session.instance) ? session : { ...session, seenAt }));
  }

  async openSession(session: Session): Promise<Session> {
    const { agent, instance, thumbprint, opening = 0 } = session;
    const same = [...this.all.values()].find(
      (known) => known.agent === agent && known.instance === instance && known.thumbprint === thumbprint,
    );
    const isNewer = same === undefined || newestNumber(same) < opening;
    if (same !== undefined && same.closedAt === undefined) {
      const next = isNewer ? { ...same, opening } : same;
      this.all.set(`${agent} ${same.id}`, next);
      return next;
    }
    if (!isNewer) {
      throw new RekeyError('ERR_CONFLICT', 'a newer word has come', { field: 'payload.sequence' });
    }
    if (same !== undefined) this.all.delete(`${agent} ${same.id}`);
    const key = `${agent} ${session.id}`;
    if (!this.all.has(key)) this.all.set(key, session);
    return this.all.get(key) ?? session;
  }

  async touch({ agent, id, ...now }: SaidNow): Promise<Pick<Session, 'holds' | 'seenAt'>> {
    const session = await this.session(agent, id);
    if (session === undefined) throw new RekeyError('ERR_CONFLICT', 'the session has ended');
    if (session.sequence === now.sequence) return session;
    if (newestNumber(session) >= now.sequence) {
      throw new RekeyError('ERR_CONFLICT', 'a newer heartbeat has come', { field: 'payload.sequence' });
    }
    this.all.set(`${agent} ${id}`, { ...session, ...now });
    return now;
  }

  async close({ agent, id }: Pick<Session, 'agent' | 'id'>, closedAt: string): Promise<void> {
    const session = await this.session(agent, id);
    if (session !== undefined) this.all.set(`${agent} ${id}`, { ...session, closedAt });
  }

  async challenge({ challenge }: { challenge: string }): Promise<void> {
    this.#challenges.add(challenge);
  }

  async acknowledge(acknowledgement: Acknowledgement, challenge: string): Promise<void> {
    if (!this.#challenges.delete(challenge))
      throw new RekeyError('ERR_CHALLENGE', 'the challenge is not known');
    this.said.push(acknowledgement);
  }

  async contradict({ jws }: Pick<Acknowledgement, 'jws'>, at: string): Promise<void> {
    const index = this.said.findIndex((each) => each.jws === jws);
    const found = this.said[index];
    if (found !== undefined) this.said[index] = { contradictedAt: at, ...found };
  }

  async acknowledgement(of: Pick<Acknowledgement, 'rotation' | 'opensAt' | 'session'>) {
    return (await this.acknowledgements(of)).find(({ session }) => session === of.session);
  }

  async acknowledgements(of: Pick<Acknowledgement, 'rotation' | 'opensAt'>) {
    return this.said.filter(({ rotation, opensAt }) => rotation === of.rotation && opensAt === of.opensAt);
  }

  async report(use: UseReport): Promise<void> {
    this.reported.push(use);
  }

  async stray(stray: Stray): Promise<void> {
    this.strayed.push(stray);
  }

  async strays(from: string, before: string): Promise<readonly Stray[]> {
    return this.strayed.filter(({ at }) => at >= from && at < before);
  }

  async *useLog(credentialId: string, from: string, to: string): AsyncIterable<UseReport> {
    const uses = await this.uses(credentialId, from, to);
    yield* uses.toSorted((a, b) => (a.from < b.from ? -1 : 1));
  }

  async uses(credentialId: string, from: string, to: string): Promise<readonly UseReport[]> {
    return this.reported.filter((use) => use.credentialId === credentialId && use.to > from && use.from < to);
  }
}

/** Encrypts as KMS does, with the context as additional data; the key is this process's. */
export class MemorySealer implements Sealer {
  /** How often something was sealed. */
  sealed = 0;
  /** How often something was to be opened. */
  unsealed = 0;
  readonly #key = randomBytes(32);

  async seal(secret: Redacted<Uint8Array>, context: SealContext): Promise<string> {
    this.sealed++;
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv).setAAD(aad(context));
    const text = Buffer.concat([cipher.update(secret.reveal()), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64');
  }

  async unseal(sealed: string, context: SealContext): Promise<Redacted<Uint8Array>> {
    this.unsealed++;
    const bytes = Buffer.from(sealed, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, 12))
      .setAAD(aad(context))
      .setAuthTag(bytes.subarray(12, 28));
    try {
      return new Redacted(
        new Uint8Array(Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()])),
      );
    } catch (cause) {
      throw new RekeyError('ERR_PROOF', 'it was sealed for something else', { cause });
    }
  }
}

function aad({ purpose, of, id }: SealContext): Buffer {
  return Buffer.from(JSON.stringify([purpose, of, id]));
}
