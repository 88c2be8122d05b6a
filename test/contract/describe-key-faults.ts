import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { errorFields } from '../../lambdas/compose.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { markIn } from '../../shared/providers/http/mark.ts';
import type { KeyMaterial } from '../../shared/providers/http/material.ts';
import type { KeyTarget } from '../../shared/providers/http/target.ts';
import type { CredentialProvider, Issued, ProviderContext } from '../../shared/providers/provider.ts';
import { UpstreamServer, type Asked, type Fault, type FakeKeys } from '../fakes/upstream.ts';
import { keyHarness, type KeyCase } from './key-harness.ts';

/** What the faults of an upstream of keys need beside what its contract needs. */
export interface KeyFaults<T extends KeyTarget> extends KeyCase<T> {
  /** The fake upstream: the server in front of it, and the keys that it knows. */
  fake(): { readonly server: UpstreamServer; readonly keys: FakeKeys };
  /** Whether a request is an agent's, with the key that is tested; all others carry Rekey's own login. */
  isTest(asked: Asked): boolean;
  /** Makes keys that aren't Rekey's until the upstream takes no other. */
  fill(target: T): void;
}

/** Quoted by every answer that goes wrong. */
const CANARY = 'sk-leaked-canary-0123456789';
const HANG_MS = 400;

/** A credential with a key that works, and a key of somebody else beside it. */
interface Scene<T> {
  readonly target: T;
  readonly ctx: ProviderContext;
  readonly first: Issued<KeyMaterial>;
  /** What is issued next, where the step is about it. */
  next?: Issued<KeyMaterial>;
}

interface Step<T> {
  readonly name: string;
  before?(scene: Scene<T>): Promise<void>;
  run(scene: Scene<T>): Promise<unknown>;
  /** Generations that live when it is done. */
  readonly leaves: readonly number[];
}

interface Wrong {
  readonly name: string;
  fault(quoted: unknown): Fault;
  /** Code of what a step throws; undefined where it may pass. */
  readonly codes: readonly (string | undefined)[];
  /** The same for a request with an agent's key. */
  readonly agentCodes?: readonly (string | undefined)[];
}

const TOKENS = [1, 2].map((each) => `00000000-0000-4000-9000-00000000000${each}`);
const [FIRST = '', NEXT = ''] = TOKENS;

const reply =
  (status: number, headers: Record<string, string> = {}) =>
  (body: unknown): Fault => ({ kind: 'reply', status, body, headers });

const AGAIN = ['ERR_UNAVAILABLE'];
const DENIED = { codes: ['ERR_ADMIN_DENIED'], agentCodes: ['ERR_REJECTED'] };

function wrongs(elsewhere: () => string): readonly Wrong[] {
  const broken = (['reset', 'lost', 'hang', 'huge', 'not-http'] as const).map((kind) => ({
    name: `a broken exchange (${kind})`,
    fault: () => ({ kind }),
    codes: AGAIN,
  }));
  const redirects = [301, 302, 303, 307, 308].map((status) => ({
    name: `a redirect (${status})`,
    fault: (quoted: unknown) => reply(status, { location: `${elsewhere()}/v1?key=${CANARY}` })(quoted),
    codes: ['ERR_REJECTED'],
  }));
  return [
    { name: 'a refused login (401)', fault: reply(401), ...DENIED },
    { name: 'a missing right (403)', fault: reply(403), ...DENIED },
    { name: 'a long wait (429)', fault: reply(429, { 'retry-after': '3600' }), codes: AGAIN },
    { name: 'a wait of no known length (429)', fault: reply(429, { 'retry-after': CANARY }), codes: AGAIN },
    { name: 'an error of the upstream (500)', fault: reply(500), codes: AGAIN },
    { name: 'an upstream that is down (503)', fault: reply(503, { 'retry-after': '120' }), codes: AGAIN },
    ...broken,
    // What says nothing that counts may be broken.
    { name: 'a broken body', fault: () => ({ kind: 'malformed' }), codes: [...AGAIN, undefined] },
    { name: 'a body of another form', fault: reply(200), codes: [...AGAIN, undefined] },
    ...redirects,
  ];
}

/**
 * What an upstream of keys does wrong, against its stateful fake: each fault at each request of each step. The step fails
 * with the code of the contract and quotes nothing; repeated, it ends as if nothing had happened, without an orphan.
 *
 * Called once for each upstream, next to `describeProvider`, with the same case and three things more:
 * `describeKeyFaults('OpenAI', { ...openai, fake: () => fake, isTest: …, fill: … })`. `addForeign` must take the name.
 */
export function describeKeyFaults<T extends KeyTarget>(name: string, its: KeyFaults<T>): void {
  const { provider } = its;
  const harness = keyHarness(its);
  const steps = stepsOf(provider);

  describe(`${name} when its upstream goes wrong`, () => {
    let elsewhere: UpstreamServer;
    const printed = (['log', 'info', 'warn', 'error', 'debug'] as const).map((each) =>
      vi.spyOn(console, each),
    );

    beforeAll(async () => {
      await its.start();
      elsewhere = await UpstreamServer.start(() => ({ status: 200, body: {} }));
    }, 60_000);
    afterEach(() => {
      server().heal();
      Object.assign(its.fake().keys, { slowness: 0, room: Infinity });
      vi.restoreAllMocks();
    });
    afterAll(async () => {
      await elsewhere[Symbol.asyncDispose]();
      await its.stop();
    }, 30_000);

    const server = (): UpstreamServer => its.fake().server;
    const all = () => [...its.fake().keys.all.values()];
    /** Generations of the credential's keys that live at the upstream, whatever Rekey believes. */
    const living = ({ label }: T): number[] =>
      all()
        .filter(({ active }) => active)
        .flatMap((key) => markIn(key.name) ?? [])
        .filter((mark) => mark.label === label)
        .map(({ generation }) => generation)
        .sort();
    /** Keys that live and aren't Rekey's: none of them may die, though a pool's may be taken. */
    const strangers = (): string[] =>
      all()
        .filter((key) => markIn(key.name) === undefined && key.active)
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
    function secretsOf({ first, next }: Scene<T>): string[] {
      const keys = [first, ...(next === undefined ? [] : [next])];
      const logins = Object.values(its.admin()).filter((each) => typeof each === 'string');
      return [CANARY, ...keys.map(({ material }) => material.reveal().apiKey), ...logins];
    }

    function expectNothingOf(secrets: readonly string[], error: unknown): void {
      const shown = [
        inspect(error, { depth: 20, showHidden: true }),
        inspect(errorFields(error), { depth: 20 }),
        JSON.stringify(error),
        String(error),
        ...chainOf(error).map((each) => String(each.stack)),
      ].join();
      const logged = inspect(printed.map((each) => each.mock.calls));
      for (const secret of secrets) {
        for (const each of [secret, encodeURIComponent(secret), bytesOf(secret)]) {
          expect(shown).not.toContain(each);
          expect(logged).not.toContain(each);
        }
      }
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
      describe(step.name, () => {
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
              failAt(at, fault);
              const error = await failureOf(step, scene);
              server().heal();
              const codes = (isAgents ? wrong.agentCodes : undefined) ?? wrong.codes;
              // A new key that is refused is tried again: it spreads slowly.
              const mayPass = isAgents && step.name === 'activate' && codes.includes('ERR_REJECTED');
              expect(mayPass ? [...codes, undefined] : codes).toContain(error?.code);
              expectNothingOf(secrets, error);
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
            failAt(at, reply(429, { 'retry-after': '0' })({}), 2);
            await step.run(scene);
            await expectDone(step, scene, []);
          }
        });

        it('does not wait long, and names the wait', async () => {
          const requests = await requestsOf(step);
          for (const at of requests.keys()) {
            const scene = await begin(step);
            const before = server().asked.length;
            failAt(at, reply(429, { 'retry-after': '3600' })({}));
            expect((await failureOf(step, scene))?.message).toContain('asks to wait 3600 s');
            expect(server().asked.length - before).toBe(at + 1);
          }
        });

        it('reaches no private address that the deployment does not name', async () => {
          const scene = await begin(step);
          const before = server().asked.length;
          const reach = { privateHosts: ['127.0.0.2', 'localhost'] };
          const error = await failureOf(step, { ...scene, ctx: { ...scene.ctx, reach } });
          const requests = server().asked.length - before;
          const refused = error?.code === 'ERR_DECLARATION' && error.field === 'target.baseUrl';
          // A step that needs no request has nothing to refuse.
          expect([refused, requests]).toEqual([(await requestsOf(step)).length > 0, 0]);
        });
      });
    }

    it('reaches no name that means a private address', async () => {
      const { target, ctx } = await begin();
      const baseUrl = its.url().replace('http://127.0.0.1', 'https://localhost');
      const before = server().asked.length;
      const admin = async () => Promise.resolve(new Redacted(JSON.stringify({ ...its.admin(), baseUrl })));
      const refused = provider.preflight({ ...target, baseUrl }, { ...ctx, admin });
      await expect(refused).rejects.toMatchObject({ code: 'ERR_DECLARATION', field: 'target.baseUrl' });
      expect(server().asked.length).toBe(before);
    });

    it('waits a second where it is asked to', async () => {
      const scene = await begin();
      failAt(0, reply(429, { 'retry-after': '1' })({}));
      const began = performance.now();
      await provider.preflight(scene.target, scene.ctx);
      expect(performance.now() - began).toBeGreaterThan(950);
    });

    it('gives up where it is asked to wait again and again', async () => {
      const scene = await begin();
      failAt(0, reply(429, { 'retry-after': '0' })({}), 10);
      const refused = provider.preflight(scene.target, scene.ctx);
      await expect(refused).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    });

    it('finds and removes the orphan of a lost creation, whatever is lost of the way back', async () => {
      for (let at = 0, came = true; came; at++) {
        const scene = await begin();
        const { target, ctx } = scene;
        const creation = (await requestsOf(stepOf('issue'))).length - 1;
        failAt(creation, { kind: 'lost' });
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
    });

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
      its.fake().keys.slowness = 3;
      const next = await issue(target, ctx, 2);
      await provider.activate?.(target, NEXT, next, ctx);
      expect(await takes(target, next)).toBe(true);
    });

    it('says of a new key that does not spread in time that it is tried again', async () => {
      const { target, ctx } = await begin();
      its.fake().keys.slowness = 1000;
      const next = await issue(target, ctx, 2);
      let elapsed = 0;
      vi.spyOn(performance, 'now').mockImplementation(() => (elapsed += 100_000));
      const error = await failureOf({ run: async () => provider.activate?.(target, NEXT, next, ctx) });
      expect(error?.code).toBe('ERR_NOT_PROPAGATED');
      expectNothingOf([next.material.reveal().apiKey], error);
    });

    it('refuses where keys of others have taken all the room, and deletes none', async () => {
      const { target, ctx, first } = await begin();
      its.fill(target);
      const before = all().map(({ id }) => id);
      for (let twice = 0; twice < 2; twice++) {
        const error = await failureOf({ run: async () => issue(target, ctx, 2) });
        expect(error).toMatchObject({ code: 'ERR_CAPACITY', remedy: expect.any(String) });
      }
      expect(all().map(({ id }) => id)).toEqual(before);
      expect(await takes(target, first)).toBe(true);
    });

    it('takes no key for its own whose name is only like its mark', async () => {
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

/** Every step that makes requests, on a credential whose first key works. */
function stepsOf<T extends KeyTarget>(provider: CredentialProvider<T, KeyMaterial>): readonly Step<T>[] {
  const { suspension } = provider;
  const issueNext = async (scene: Scene<T>): Promise<void> => {
    scene.next = await provider.issue(scene.target, NEXT, { ...scene.ctx, generation: 2 });
  };
  const look = { leaves: [1] };
  return [
    { name: 'preflight', run: async ({ target, ctx }) => provider.preflight(target, ctx), ...look },
    { name: 'issue', run: issueNext, leaves: [1, 2] },
    {
      name: 'activate',
      before: issueNext,
      run: async ({ target, ctx, next }) => next && provider.activate?.(target, NEXT, next, ctx),
      leaves: [1, 2],
    },
    {
      name: 'verify',
      run: async ({ target, ctx, first }) => provider.verify(target, first.material, ctx),
      ...look,
    },
    {
      name: 'comparePermissions',
      before: issueNext,
      run: async ({ target, ctx, first, next }) =>
        next && provider.comparePermissions?.(target, first.handle, next.handle, ctx),
      leaves: [1, 2],
    },
    {
      name: 'revoke',
      run: async ({ target, ctx, first }) => {
        const done = await provider.revoke(target, first.handle, { endSessions: true }, ctx);
        if (!done.confirmed) throw new RekeyError('ERR_UNAVAILABLE', 'not confirmed');
      },
      leaves: [],
    },
    {
      name: 'deactivation',
      run: async ({ target, ctx, first }) => provider.deactivation?.(target, first.handle, ctx),
      ...look,
    },
    { name: 'list', run: async ({ target, ctx }) => provider.list?.(target, ctx), ...look },
    {
      name: 'usage',
      run: async ({ target, ctx, first }) => provider.usage?.(target, first.handle, ctx),
      ...look,
    },
    ...(suspension === undefined
      ? []
      : [
          {
            name: 'suspend',
            run: async ({ target, ctx, first }: Scene<T>) => suspension.suspend(target, first.handle, ctx),
            leaves: [],
          },
          {
            name: 'restore',
            before: async ({ target, ctx, first }: Scene<T>) => suspension.suspend(target, first.handle, ctx),
            run: async ({ target, ctx, first }: Scene<T>) => suspension.restore(target, first.handle, ctx),
            ...look,
          },
        ]),
  ];
}

/** Names that are nearly the mark of a credential's second key. */
function lookalikes(label: string): string[] {
  const mark = `rekey.${label}.2.${NEXT}`;
  return [
    `Rekey.${label}.2.${NEXT}`,
    `rekey.${label}x.2.${NEXT}`,
    `rekey.${label}.2`,
    `rekey.${label}.2.${NEXT.slice(0, 30)}`,
    `rekey.${label}.two.${NEXT}`,
    `rekey.${label}.-2.${NEXT}`,
    `rekey_${label}.2.${NEXT}`,
    ` ${mark}`,
    `${mark} `,
    `${mark}\n`,
    `${mark}.old`,
    `copy of ${mark}`,
    mark.replace('e', 'е'),
  ];
}

function impatient(ctx: ProviderContext): ProviderContext {
  return { ...ctx, reach: { ...ctx.reach, timeoutMs: HANG_MS } };
}

function chainOf(error: unknown): Error[] {
  return error instanceof Error ? [error, ...chainOf(error.cause)] : [];
}

/** A text as `inspect` shows a buffer that begins with it. */
function bytesOf(text: string): string {
  return [...Buffer.from(text)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
