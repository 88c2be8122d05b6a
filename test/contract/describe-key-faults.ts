import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { RekeyError } from '../../shared/domain/errors.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { markIn, type Mark } from '../../shared/providers/http/mark.ts';
import type { KeyMaterial } from '../../shared/providers/http/material.ts';
import type { KeyTarget } from '../../shared/providers/http/target.ts';
import type { Issued, ProviderContext } from '../../shared/providers/provider.ts';
import { takeNoTimeToWait } from '../support/waits.ts';
import { UpstreamServer, type Asked, type Fault, type FakeKey, type FakeKeys } from '../fakes/upstream.ts';
import { expectNothingOf } from './key-faults/quotes.ts';
import { FIRST, lookalikes, NEXT, stepsOf, TOKENS, type Scene, type Step } from './key-faults/steps.ts';
import { CANARY, waitFor, wrongs } from './key-faults/wrongs.ts';
import { keyHarness, type KeyCase } from './key-harness.ts';

/** What the faults of an upstream of keys need beside what its contract needs. */
export interface KeyFaults<T extends KeyTarget> extends KeyCase<T> {
  /** The fake upstream: the server in front of it, and the keys that it knows. */
  fake(): { readonly server: UpstreamServer; readonly keys: FakeKeys };
  /** Whether a request is an agent's, with the key that is tested; all others carry Rekey's own login. */
  isTest(asked: Asked): boolean;
  /** The mark of a key, where it isn't kept in its name. */
  markOf?(key: FakeKey): Pick<Mark, 'label' | 'generation'> | undefined;
  /** Lets keys that aren't Rekey's take all the room. Answers with what gives it back. Absent where no limit is known. */
  fill?(target: T): () => void;
}

/**
 * What an upstream of keys does wrong, against its stateful fake: each fault at each request of each step. The step fails
 * with the code of the contract and quotes nothing; repeated, it ends as if nothing had happened, without an orphan.
 *
 * Called once for each upstream, next to `describeProvider`, with the same case and three things more:
 * `describeKeyFaults('OpenAI', { ...openai, fake: () => fake, isTest: …, fill: … })`. `addForeign` must take the name.
 */
export function describeKeyFaults<T extends KeyTarget>(name: string, its: KeyFaults<T>): void {
  const harness = keyHarness(its);
  const { provider } = harness;
  const marks = its.markOf === undefined;
  const markOf = (key: FakeKey) => (its.markOf === undefined ? markIn(key.name) : its.markOf(key));
  const steps = stepsOf(provider);

  describe(`${name} when its upstream goes wrong`, () => {
    takeNoTimeToWait();
    let elsewhere: UpstreamServer;
    let spies: { mockRestore(): void; mock: { calls: unknown } }[] = [];
    const printed = (): unknown => spies.map((each) => each.mock.calls);

    beforeAll(async () => {
      await its.start();
      spies = (['log', 'info', 'warn', 'error', 'debug'] as const).map((each) => vi.spyOn(console, each));
      elsewhere = await UpstreamServer.start(() => ({ status: 200, body: {} }));
    }, 60_000);
    afterEach(() => {
      server().heal();
    });
    afterAll(async () => {
      for (const spy of spies) spy.mockRestore();
      await elsewhere[Symbol.asyncDispose]();
      await its.stop();
    }, 30_000);

    const server = (): UpstreamServer => its.fake().server;
    const all = () => [...its.fake().keys.all.values()];
    /** Generations of the credential's keys that live at the upstream, whatever Rekey believes. */
    const living = ({ label }: T): number[] =>
      all()
        .filter(({ active }) => active)
        .flatMap((key) => markOf(key) ?? [])
        .filter((mark) => mark.label === label)
        .map(({ generation }) => generation)
        .sort((one, other) => one - other);
    /** Keys that live and aren't Rekey's: none of them may die, though a pool's may be taken. */
    const strangers = (): string[] =>
      all()
        .filter((key) => markOf(key) === undefined && key.active)
        .map(({ id }) => id);
    const isAlive = (id: string): boolean => its.fake().keys.all.get(id)?.active === true;

    async function issue(target: T, ctx: ProviderContext, generation: number): Promise<Issued<KeyMaterial>> {
      return provider.issue(target, TOKENS[generation - 1] ?? '', { ...ctx, generation });
    }

    async function begin(step?: Step<T>): Promise<Scene<T>> {
      const target = await harness.freshTarget();
      const ctx = harness.context(target);
      its.addForeign(target);
      const first = await issue(target, ctx, 1);
      await provider.activate?.(target, FIRST, first, ctx);
      const scene = { target, ctx, first };
      await step?.before?.(scene);
      return scene;
    }

    /** The requests of a step where nothing goes wrong. */
    async function requestsOf(step: Step<T>): Promise<readonly Asked[]> {
      const scene = await begin(step);
      const seen: Asked[] = [];
      server().fail({ kind: 'reset' }, (asked) => {
        seen.push(asked);
        return false;
      });
      await step.run(scene);
      server().heal();
      return seen;
    }

    /** The request of that number from now goes wrong. Answers whether it came. */
    function failAt(at: number, fault: Fault, times = 1): () => boolean {
      let count = 0;
      const isDue = (): boolean => count++ >= at;
      server().fail(fault, isDue, times);
      return () => count > at;
    }

    async function takes(target: T, { material }: Issued<KeyMaterial>): Promise<boolean> {
      return its.takes(material.reveal().apiKey, target);
    }

    /** Every secret that the upstream could quote. */
    function secretsOf({ target, first, next }: Scene<T>): string[] {
      const keys = [first, ...(next === undefined ? [] : [next])];
      const logins = Object.values(its.admin(its.url())).filter(
        (each) => typeof each === 'string' && !Object.values(target).includes(each),
      );
      // Of a key with several lines the last whole one is telling: the first are those of any key.
      const told = keys
        .map(({ material }) => material.reveal().apiKey)
        .map((key) => key.split('\n').at(-3) ?? key);
      return [CANARY, ...told, ...logins];
    }

    /** The step is done for good, and nothing is too much or too little. */
    async function expectDone(step: Step<T>, scene: Scene<T>, others: readonly string[]): Promise<void> {
      expect(living(scene.target)).toEqual(step.leaves);
      expect(others.filter((id) => !isAlive(id))).toEqual([]);
      for (const each of [scene.first, ...(scene.next === undefined ? [] : [scene.next])]) {
        expect(await takes(scene.target, each)).toBe(step.leaves.includes(each.handle.generation));
      }
    }

    for (const step of steps) {
      describe(`${step.name}:`, () => {
        for (const wrong of wrongs(() => elsewhere.url)) {
          it(`tells of ${wrong.name} by its code alone, and is done when it is repeated`, async () => {
            const requests = await requestsOf(step);
            for (const [at, request] of requests.entries()) {
              const scene = await begin(step);
              const others = strangers();
              const secrets = secretsOf(scene);
              const fault = wrong.fault({
                error: { message: secrets.join(' '), code: CANARY, type: CANARY },
              });
              const isAgents = its.isTest(request);
              if (fault.kind === 'hang') Object.assign(scene, { ctx: impatient(scene.ctx) });
              const came = failAt(at, fault);
              const error = await failureOf(step, scene);
              server().heal();
              Object.assign(scene, { ctx: harness.context(scene.target) });
              const codes = (isAgents ? wrong.agentCodes : undefined) ?? wrong.codes;
              // A new key that is refused is tried again: it spreads slowly. Who waits for an end may ask less often.
              // Where keys alone are asked, a refusal is an answer: nothing of that key is used or counted.
              const isAnswer = step.name === 'activate' || !marks;
              const isPatient = isAgents && isAnswer && codes.includes('ERR_REJECTED');
              // What is to be dead, or never was a key, is refused rightly.
              const isRight = isAgents && step.probes === true && wrong.agentCodes !== undefined;
              // What says neither that it lives nor that it is dead confirms nothing.
              const unsaid = isPatient && !marks && step.name === 'revoke' ? ['ERR_UNAVAILABLE'] : [];
              const isAccepted = isPatient || isRight || !came();
              expect(isAccepted ? [...codes, ...unsaid, undefined] : codes).toContain(error?.code);
              expectNothingOf(secrets, error, printed());
              await step.run(scene);
              await expectDone(step, scene, others);
            }
            expect(elsewhere.asked).toEqual([]);
          });
        }

        it('waits as long as it is asked to, where that is short', async () => {
          const requests = await requestsOf(step);
          for (const at of requests.keys()) {
            const scene = await begin(step);
            failAt(at, waitFor(0), 2);
            await step.run(scene);
            await expectDone(step, scene, []);
          }
        });

        it('does not wait long, and names the wait', async () => {
          const requests = await requestsOf(step);
          for (const at of requests.keys()) {
            const scene = await begin(step);
            const before = server().asked.length;
            const came = failAt(at, waitFor(3600));
            const error = await failureOf(step, scene);
            server().heal();
            if (!came()) continue;
            expect(error?.message).toContain('asks to wait 3600 s');
            expect(server().asked.length - before).toBe(at + 1);
          }
        });

        it('reaches no private address that the deployment does not name', async () => {
          const scene = await begin(step);
          const before = server().asked.length;
          const reach = { privateHosts: ['127.0.0.2', 'localhost'] };
          const error = await failureOf(step, { ...scene, ctx: { ...scene.ctx, reach } });
          const requests = server().asked.length - before;
          const refused = error?.code === 'ERR_DECLARATION' && error.field !== undefined;
          // A step that needs no request has nothing to refuse.
          expect([refused, requests]).toEqual([(await requestsOf(step)).length > 0, 0]);
        });
      });
    }

    it('reaches no name that means a private address', async () => {
      const { target, ctx } = await begin();
      const baseUrl = its.url().replace('http://127.0.0.1', 'https://localhost');
      const before = server().asked.length;
      const login = its.admin(baseUrl);
      const hasOwnUrl = 'adminUrl' in login;
      const there = 'loginUrl' in target ? { baseUrl, loginUrl: baseUrl } : { baseUrl };
      const secret = { ...login, ...there, ...(hasOwnUrl ? { adminUrl: baseUrl } : {}) };
      const admin = async () => Promise.resolve(new Redacted(JSON.stringify(secret)));
      const refused = provider.preflight({ ...target, ...there }, { ...ctx, admin });
      const field: unknown = expect.any(String);
      await expect(refused).rejects.toMatchObject({ code: 'ERR_DECLARATION', field });
      expect(server().asked.length).toBe(before);
    });

    it('waits a second where it is asked to', async () => {
      const scene = await begin();
      failAt(0, waitFor(1));
      const began = performance.now();
      await provider.preflight(scene.target, scene.ctx);
      expect(performance.now() - began).toBeGreaterThanOrEqual(1000);
    });

    it('gives up where it is asked to wait again and again', async () => {
      const scene = await begin();
      failAt(0, waitFor(0), 10);
      const refused = provider.preflight(scene.target, scene.ctx);
      await expect(refused).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    });

    it.runIf(marks)(
      'finds and removes the orphan of a lost creation, whatever is lost of the way back',
      async () => {
        const last = (await requestsOf(stepOf('issue'))).length - 1;
        for (let at = 0, came = true; came; at++) {
          const scene = await begin();
          const { target, ctx } = scene;
          failAt(last, { kind: 'lost' });
          await expect(issue(target, ctx, 2)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
          expect(living(target)).toEqual([1, 2]);
          const isLost = failAt(at, { kind: 'lost' });
          const again = await issue(target, ctx, 2).catch(() => undefined);
          came = isLost();
          server().heal();
          const next = again ?? (await issue(target, ctx, 2));
          await provider.activate?.(target, NEXT, next, ctx);
          expect([living(target), await takes(target, next)]).toEqual([[1, 2], true]);
          const listed = await provider.list?.(target, ctx);
          expect(listed?.map(({ id }) => id).sort()).toEqual([scene.first.handle.id, next.handle.id].sort());
        }
      },
    );

    it('confirms a revocation whose answer was lost', async () => {
      const { target, ctx, first } = await begin();
      const step = stepOf('revoke');
      for (const at of (await requestsOf(step)).keys()) {
        const isLost = failAt(at, { kind: 'lost' });
        const error = await failureOf(step, { target, ctx, first });
        expect(error?.code).toBe(isLost() ? 'ERR_UNAVAILABLE' : undefined);
        server().heal();
      }
      const done = await provider.revoke(target, first.handle, { endSessions: true }, ctx);
      expect([done.confirmed, living(target)]).toEqual([true, []]);
    });

    it('waits for a new key that spreads slowly', async () => {
      const { target, ctx } = await begin();
      const next = await issue(target, ctx, 2);
      slow(next, 3);
      await provider.activate?.(target, NEXT, next, ctx);
      expect(await takes(target, next)).toBe(true);
    });

    it('says of a new key that does not spread in time that it is tried again', async () => {
      const { target, ctx } = await begin();
      const next = await issue(target, ctx, 2);
      slow(next, 1000);
      const error = await failureOf({ run: async () => provider.activate?.(target, NEXT, next, ctx) });
      expect(error?.code).toBe('ERR_NOT_PROPAGATED');
      expectNothingOf([next.material.reveal().apiKey], error, printed());
    });

    it.runIf(its.fill !== undefined)(
      'refuses where keys of others have taken all the room, and deletes none',
      async () => {
        const { target, ctx, first } = await begin();
        const release = its.fill?.(target);
        const before = all().map(({ id }) => id);
        for (let twice = 0; twice < 2; twice++) {
          const error = await failureOf({ run: async () => issue(target, ctx, 2) });
          expect(error).toMatchObject({ code: 'ERR_CAPACITY', remedy: expect.any(String) });
        }
        expect(all().map(({ id }) => id)).toEqual(before);
        expect(await takes(target, first)).toBe(true);
        release?.();
        await issue(target, ctx, 2);
        expect(living(target)).toEqual([1, 2]);
      },
    );

    it.runIf(marks)('takes no key for its own whose name is only like its mark', async () => {
      const { target, ctx, first } = await begin();
      const names = lookalikes(target.label);
      for (const each of names) its.addForeign(target, each);
      const added = all().filter((key) => names.includes(key.name));
      expect(added).toHaveLength(names.length);
      expect(await provider.list?.(target, ctx)).toEqual([{ ...first.handle, token: FIRST }]);
      const next = await issue(target, ctx, 2);
      await issue(target, ctx, 2);
      await provider.revoke(target, next.handle, { endSessions: true }, ctx);
      expect(all()).toEqual(expect.arrayContaining(added));
    });

    /** Its next uses are refused, so many of them. */
    function slow({ handle, material }: Issued<KeyMaterial>, uses: number): void {
      const { apiKey } = material.reveal();
      const key = its.fake().keys.all.get(handle.id) ?? all().find(({ value }) => value === apiKey);
      if (key === undefined) throw new Error('the fake has no such key');
      key.refusals = uses;
    }

    function stepOf(wanted: string): Step<T> {
      const found = steps.find((each) => each.name === wanted);
      if (found === undefined) throw new Error(`there is no step ${wanted}`);
      return found;
    }

    async function failureOf(
      step: { run(scene: Scene<T>): Promise<unknown> },
      scene?: Scene<T>,
    ): Promise<RekeyError | undefined> {
      try {
        await step.run(scene as Scene<T>);
        return undefined;
      } catch (error) {
        if (error instanceof RekeyError) return error;
        throw error;
      }
    }
  });
}

/** How long a request may hang: many times what one takes that doesn't. */
const HANG_MS = 60;

function impatient(ctx: ProviderContext): ProviderContext {
  return { ...ctx, reach: { ...ctx.reach, timeoutMs: HANG_MS } };
}
