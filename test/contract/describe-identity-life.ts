import { randomUUID } from 'node:crypto';
import { CreateQueueCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { queueNotices } from '../../client/src/queue.ts';
import { sqsQueue } from '../../client/src/sqs.ts';
import { eventOf } from '../../shared/domain/events.ts';
import { isRekeyError } from '../../shared/domain/errors.ts';
import { isOver } from '../../shared/domain/rotation.ts';
import { emergency, stillWorking } from '../support/emergencies.ts';
import { EngineWorld, inParallel, type EngineCase } from '../support/engine-world.ts';
import { dryRun, everyFault, MODES, type Scenario } from '../support/explore.ts';
import { IdentityEngineCase, type IdentityKind } from '../support/identity-engine-case.ts';

/** Credentials of one kind, over an engine's surroundings that the tests of a file share. */
class Identities {
  readonly #kind: IdentityKind;
  readonly #cases: IdentityEngineCase[] = [];
  #world: EngineWorld | undefined;

  constructor(kind: IdentityKind) {
    this.#kind = kind;
    beforeAll(async () => {
      this.#world = await EngineWorld.start();
    });
    afterAll(async () => {
      await Promise.all(this.#cases.map(async (one) => one.stop()));
      await this.#world?.stop();
    });
  }

  get world(): EngineWorld {
    if (this.#world === undefined) throw new Error('the surroundings are not up yet');
    return this.#world;
  }

  /** Nothing is registered yet. */
  newCase(): IdentityEngineCase {
    const one = new IdentityEngineCase(this.world, 10_000 + this.#cases.length, this.#kind);
    this.#cases.push(one);
    return one;
  }

  /** Registered so long ago that every verifier knows what comes next. */
  async registered(): Promise<IdentityEngineCase> {
    const one = this.newCase();
    await one.register();
    one.pass();
    return one;
  }
}

function identity(one: EngineCase): IdentityEngineCase {
  if (one instanceof IdentityEngineCase) return one;
  throw new Error('no case of an identity');
}

/** A rotation under load: at every moment a verifier takes what agents have read within their TTL. */
const rotation: Scenario = {
  prepare: async (one) => Promise.resolve(identity(one).pass()),
  async act(one) {
    one.agents.start();
    await one.rotate();
    one.agents.stop();
  },
  async also(one) {
    const [newest] = await one.deps.ledger.rotations(await one.id(), 1);
    if (newest === undefined || !isOver(newest.phase)) return [`the rotation is not over (${newest?.phase})`];
    return one.agents.logins < 3 ? ['the agents hardly worked'] : [];
  },
};

/** Verifiers are told, as their fleet is; from then on none takes what was revoked. */
const oneEmergency: Scenario = {
  prepare: async (one) => Promise.resolve(identity(one).pass()),
  async act(one) {
    const before = await one.login();
    await emergency(one);
    await one.settle();
    identity(one).tellVerifiers();
    one.agents.failures.push(...(await stillWorking(one, [before])));
  },
};

/**
 * What holds of the identities of every kind, whatever fails: rotations under load, emergencies, and clocks that are off. The
 * file that calls it adds what only its kind has.
 */
export function describeIdentityLife(name: string, kind: IdentityKind): Identities {
  const identities = new Identities(kind);

  describe(`the life of ${name}`, () => {
    test('have every write to the directory and to KMS numbered', async () => {
      const { labels } = await dryRun(identities, rotation);
      expect(labels).toEqual(
        expect.arrayContaining(['directory.write', 'identities.seal', 'provider.revoke']),
      );
      expect(labels.includes('aws.request')).toBe(kind.held === 'kms' || kind.kind === 'bundles');
    });

    test.each(MODES)('rotate under load, whatever fails: %s', async (mode) => {
      expect(await everyFault(identities, rotation, mode)).toEqual([]);
    });

    test.each(MODES)('are replaced in an emergency, whatever fails: %s', async (mode) => {
      expect(await everyFault(identities, oneEmergency, mode)).toEqual([]);
    });

    test('two rotations at once: one of them is done, and none is left', async () => {
      const one = await identities.registered();
      one.agents.start();
      await Promise.allSettled([one.requestRotation(), one.requestRotation()]);
      await one.settle();
      one.agents.stop();
      expect(one.agents.logins).toBeGreaterThan(2);
      expect(await one.faults()).toEqual([]);
    });

    test('an emergency at any call of a rotation leaves nothing of what was there', async () => {
      const { moments } = await dryRun(identities, rotation);
      const found: string[] = [];
      await inParallel(
        moments
          .map((label, index) => ({ label, at: index + 1 }))
          .filter(({ label }) => /\.(commit|put|promote|activate|revoke|write|request|verify)$/.test(label)),
        async ({ label, at }) => {
          const one = await identities.registered();
          const before = await one.login();
          one.calls.interlude = { at, act: async () => void (await emergency(one)) };
          one.calls.arm();
          await one.requestRotation().catch(() => undefined);
          await one.settle();
          one.calls.disarm();
          const wrong = one.calls.struck ? [] : ['the emergency never came'];
          one.tellVerifiers();
          wrong.push(...(await stillWorking(one, [before])), ...(await one.faults()));
          for (const what of wrong) found.push(`before call ${at} (${label}): ${what}`);
        },
      );
      expect(found).toEqual([]);
    });

    test.each([-5, 5])(
      'rotate thrice under load where the clocks of Rekey are %i minutes off',
      async (minutes) => {
        const one = identities.newCase();
        await one.register();
        for (let round = 1; round <= 3; round++) {
          // Published by one clock and taken by the other: no verifier may be behind then.
          one.aheadMs = round % 2 === 0 ? 0 : minutes * 60_000;
          one.pass();
          one.agents.start();
          const isRefused = await one.rotate().then(
            () => false,
            (error: unknown) => isRekeyError(error, 'ERR_ROTATION_UNDER_WAY'),
          );
          if (isRefused) {
            // A clock that is behind thinks that it comes too soon.
            one.pass();
            await one.rotate();
          }
          one.agents.stop();
        }
        expect((await one.credential()).generation).toBe(4);
        const before = await one.login();
        await emergency(one);
        await one.settle();
        one.tellVerifiers();
        expect(await stillWorking(one, [before])).toEqual([]);
        expect(await one.faults()).toEqual([]);
      },
    );

    test('an emergency is told over a queue: verifiers refuse what was revoked as soon as the event has come', async () => {
      const one = await identities.registered();
      const before = await one.login();
      expect(await one.clientTakes(before)).toBe(true);
      const sqs = new SQSClient(identities.world.stack.clientConfig);
      const { QueueUrl = '' } = await sqs.send(
        new CreateQueueCommand({ QueueName: `verifiers-${one.name}` }),
      );
      await using _reading = queueNotices({
        ...sqsQueue(sqs, QueueUrl),
        credentials: {},
        verifiers: { [one.name]: one.client },
      });
      await emergency(one);
      // It would go on for as long as it may keep what it has read. A key in KMS signs nothing any more, whoever knows.
      expect(await one.clientTakes(before)).toBe(kind.held !== 'kms');
      const told = performance.now();
      // What publish-events does with each record.
      for (const news of (await one.records()).flatMap((record) => eventOf(record) ?? [])) {
        const event = { source: 'rekey', 'detail-type': news.detailType, detail: news.detail };
        await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify(event) }));
      }
      await expect.poll(async () => one.clientTakes(before), { timeout: 20_000, interval: 20 }).toBe(false);
      expect(performance.now() - told).toBeLessThan(20_000);
      expect(await one.clientTakes(await one.login())).toBe(true);
      await one.settle();
      expect(await one.faults()).toEqual([]);
      sqs.destroy();
    });

    test('a rotation that comes before verifiers know what is next is refused as it is asked for, with from when on it may come', async () => {
      const one = identities.newCase();
      await one.register();
      await expect(one.requestRotation()).rejects.toMatchObject({
        code: 'ERR_ROTATION_UNDER_WAY',
        message: expect.stringContaining('verifiers know what comes next from'),
      });
      expect(await one.deps.ledger.rotations(await one.id(), 1)).toEqual([]);
      one.pass();
      const before = await one.login();
      await one.rotate();
      expect(await one.login()).not.toEqual(before);
    });

    test('one that Secrets Manager begins before that is given up, says why, and is done later', async () => {
      const one = identities.newCase();
      await one.register();
      const before = await one.login();
      one.agents.start();
      const token = randomUUID();
      const asked = { SecretId: one.secret, ClientRequestToken: token };
      await one.world.aws.json('secretsmanager', 'RotateSecret', asked);
      await one.settle();
      // Secrets Manager has given up before, which comes again for hours on AWS.
      const { phase, failure } = await one.rotation(token);
      expect([phase, await one.login()]).toEqual(['aborted', before]);
      expect(failure?.message).toContain('ERR_NOT_PROPAGATED: verifiers of');
      one.pass();
      await one.rotate();
      expect(await one.login()).not.toEqual(before);
      one.agents.stop();
      expect(await one.faults()).toEqual([]);
    });
  });

  return identities;
}
