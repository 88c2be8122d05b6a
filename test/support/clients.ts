import { createHmac, randomUUID } from 'node:crypto';
import type { Pact, PactCredential, Session } from '../../shared/domain/agents.ts';
import { acknowledgementKey } from '../../shared/domain/acknowledgement-key.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { isLost } from '../../shared/domain/agents.ts';
import type { EngineCase } from './engine-case.ts';

/** Role of every agent in tests. */
export const ROLE = 'arn:aws:iam::111122223333:role/agent';

/** A holder of kind client, as a declaration has it. */
export function client(name: string): object {
  return { kind: 'client', name, principal: ROLE };
}

/** Agents of one credential, as the agent API would let them speak. */
export class Clients {
  readonly #case: EngineCase;

  constructor(owner: EngineCase) {
    this.#case = owner;
  }

  async pact(agent: string, terms: Partial<PactCredential> = {}, more: Partial<Pact> = {}): Promise<void> {
    const { name, agentStore, time } = this.#case;
    await agentStore.putPact({
      agent,
      credentials: [
        {
          credential: name,
          refresh: 'in-session',
          ttlSeconds: 120,
          staleLimitSeconds: 600,
          uses: 'unreported',
          delegates: [],
          ...terms,
        },
      ],
      checkpoint: false,
      sessionLimitSeconds: 3600,
      version: 1,
      actor: ROLE,
      registeredAt: toInstant(time.now()),
      ...more,
    });
  }

  open(agent: string, instance: string): Promise<Session> {
    const now = toInstant(this.#case.time.now());
    return this.#case.agentStore.openSession({
      agent,
      id: randomUUID(),
      instance,
      key: { kind: 'sealed', sealed: '' },
      thumbprint: instance,
      openedAt: now,
      seenAt: now,
      keptUntil: '9999-12-31T23:59:59.999Z',
      holds: [],
    });
  }

  /** Closes a session; the last one that a rotation waits for answers it. */
  async close(session: Session): Promise<void> {
    const { agentStore, time } = this.#case;
    await agentStore.close(session, toInstant(time.now()));
    const rotation = await this.#case.activeRotation();
    if (rotation?.deferred === undefined || rotation.callback?.awaiting !== 'rotate') return;
    const sessions = await Promise.all(rotation.deferred.agents.map((agent) => agentStore.sessions(agent)));
    if (sessions.flat().some((each) => each.closedAt === undefined && !isLost(each, time.now()))) return;
    const { taskToken } = rotation.callback;
    await this.#case.process((deps) =>
      deps.workflow.answer(taskToken, { outcome: 'rotate', waitSeconds: 0 }),
    );
  }

  /** Proves with the very value that the window is about, against the key that Rekey keeps; false where it doesn't hold. */
  async acknowledge(session: Session, text?: string): Promise<boolean> {
    const { agentStore, sealer, deps, time } = this.#case;
    const rotation = await this.#case.activeRotation();
    const about = rotation?.acknowledgement;
    if (rotation === undefined || about === undefined) throw new Error('there is nothing to acknowledge');
    const value = await deps.vault.read(this.#case.secret, { versionId: about.versionId });
    if (value === undefined) throw new Error('the version is gone');
    const challenge = randomUUID();
    await agentStore.challenge({ challenge });
    const context = { purpose: 'acknowledgement', of: rotation.credentialId, id: rotation.id } as const;
    const kept = await sealer.unseal(about.sealed ?? '', context);
    const own = acknowledgementKey(
      value.map((read) => text ?? read),
      rotation.id,
    );
    const proof = (key: typeof own): string =>
      createHmac('sha256', key.reveal()).update(challenge).digest('base64url');
    if (proof(own) !== proof(kept)) return false;
    await agentStore.acknowledge(
      {
        credentialId: rotation.credentialId,
        rotation: rotation.id,
        opensAt: about.opensAt,
        agent: session.agent,
        session: session.id,
        instance: session.instance,
        versionId: about.versionId,
        fingerprint: about.fingerprint,
        persisted: true,
        at: toInstant(time.now()),
        jws: proof(own),
        thumbprint: session.thumbprint,
      },
      challenge,
    );
    return true;
  }
}
