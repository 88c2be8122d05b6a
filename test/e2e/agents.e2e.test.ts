import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SFNClient, StopExecutionCommand } from '@aws-sdk/client-sfn';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentApi, agentEnv, agentRole } from '../../local/demo/agent.ts';
import { asSuperuser, DATABASE, tryLogin } from '../../local/demo/database.ts';
import { databaseCredential, writeDeclaration } from '../../local/demo/declaration.ts';
import { readLogin } from '../../local/demo/fleet.ts';
import { startLoginService, type LoginService } from '../../local/demo/login-service.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import { follow } from '../../local/demo/scenario.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import type { RotateAnswer, RotationView, ShowAnswer } from '../../shared/api/messages.ts';
import { OUTPUT } from '../../shared/names.ts';
import { forgetRecording, keepRecording } from '../support/iam/recording.ts';
import { FleetAgent, fleetWorld, type FleetWorld } from './agent-fleet.ts';
import { Cohorts } from './cohorts.ts';
import { pythonAgent, typescriptAgent, type ExampleAgent } from './example-agents.ts';
import { testFirstMovers } from './first-movers.ts';
import { recordsOf } from './records.ts';
import { describeSelections } from './selections.ts';
import { lifecyclesOf, reaches, runningOf } from './upgrading.ts';

const CREDENTIAL = 'orders';
/** 17 that change the value while they work, one of them in Python; two that can't; one that never acknowledges. */
const WELL_BEHAVED = Array.from({ length: 16 }, (_, index) => `agent-${String(index + 1).padStart(2, '0')}`);
const PYTHON = 'python';
const BETWEEN = ['batch-1', 'batch-2'];
const SILENT = 'silent';
const OWN = [...WELL_BEHAVED, ...BETWEEN, SILENT];
const EVERYBODY = [...OWN, PYTHON];
/** Credential of the agent in examples/client; its agent has the same name. */
const OF_EXAMPLE = 'orders-db';
const SESSION_SECONDS = 8;

const PACT_OF_PYTHON = `
version: 1
agent: ${PYTHON}
sessionLimit: 1h
credentials:
  - { credential: ${CREDENTIAL}, refresh: in-session, ttl: 2s, staleLimit: 8s, uses: unreported }
`;

type Login = Awaited<ReturnType<typeof readLogin>>;

describe(
  'twenty agents on the deployed stack share a credential that rotates under them',
  { timeout: 600_000 },
  () => {
    let world: World;
    let vault: SecretsManagerClient;
    let fleet: FleetWorld;
    let quiet: Cohorts;
    let risen: Cohorts;
    /** The rotations in which a part moves first: they run beside the others. */
    let first: Promise<{ quiet: string; risen: string }>;
    let shutOut: Login;
    let service: LoginService;
    let inPython: ExampleAgent;
    let inTypescript: ExampleAgent;
    const agents = new Map<string, FleetAgent>();
    const stop = new AbortController();
    const silenced = new AbortController();
    let running: Promise<unknown> = Promise.resolve();

    const agent = (name: string): FleetAgent => {
      const found = agents.get(name);
      if (found === undefined) throw new Error(`no agent ${name}`);
      return found;
    };
    const show = async (id: string): Promise<RotationView> => {
      const { rotations } = await rekeyJson<ShowAnswer>(['show', CREDENTIAL], world.env);
      const found = rotations.find((each) => each.id === id);
      if (found === undefined) throw new Error(`no rotation ${id}`);
      return found;
    };
    const rotate = async (): Promise<string> => {
      const { rotation } = await rekeyJson<RotateAnswer>(['rotate', CREDENTIAL], world.env);
      return rotation.id;
    };
    /** In session together and out of it together, as jobs of one schedule are. */
    const shifts = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        await Promise.all(BETWEEN.map((name) => agent(name).runJob(SESSION_SECONDS)));
        await sleep(500);
      }
    };
    const login = async (credential: string): Promise<Login> => readLogin(vault, `agents/${credential}`);

    beforeAll(async () => {
      await forgetRecording('agents');
      world = await startWorld(() => undefined);
      vault = new SecretsManagerClient(world.stack.clientConfig);
      const principal = await agentRole(world, 'fleet');
      const shared = {
        ...databaseCredential(world.server, CREDENTIAL, 'orders_app', ''),
        policy: {
          interval: '30d',
          window: '5s',
          deadline: '30s',
          cap: '5m',
          soak: '1s',
          atDeadline: 'revoke',
        },
        holders: EVERYBODY.map((name) => ({ kind: 'client', name, principal, fleet: 'shop' })),
      };
      const credentials = [
        shared,
        await Cohorts.declare(world, OF_EXAMPLE, principal),
        await Cohorts.declare(world, 'risen', principal),
      ];
      await rekeyJson(['apply', '-f', await writeDeclaration(world.dir, credentials)], world.env);
      fleet = await fleetWorld(world, principal);
      quiet = new Cohorts(world, fleet, OF_EXAMPLE);
      risen = new Cohorts(world, fleet, 'risen');
      quiet.start();
      risen.start();
      const ca = join(world.dir, 'ca.pem');
      await writeFile(ca, world.server.caPem);
      const env = await agentEnv(world, principal, ca);
      inTypescript = await typescriptAgent(world, { ...env, AGENT: OF_EXAMPLE, TTL_SECONDS: '60' });
      service = await startLoginService(world.server);
      const pact = join(world.dir, 'pact.yaml');
      await writeFile(pact, PACT_OF_PYTHON);
      await rekeyJson(['pacts', 'apply', pact], world.env);
      const about = { api: agentApi(world), agent: PYTHON, credential: CREDENTIAL, work: service.url };
      inPython = pythonAgent(env, { ...about, ttl: '2', 'stale-limit': '8' });
      OWN.forEach((name, at) => {
        const manner = {
          ttlSeconds: 2,
          uses: 'unreported',
          workPauseMs: 400,
          logsInAnew: at % 2 === 0,
        } as const;
        const between = BETWEEN.includes(name) ? { refresh: 'between-sessions' as const } : {};
        const whom = { credential: CREDENTIAL, agent: name, silent: name === SILENT };
        agents.set(name, new FleetAgent(fleet, { ...manner, ...between, ...whom }));
      });
      running = Promise.all([
        ...WELL_BEHAVED.map((name) => agent(name).runOn(stop.signal)),
        agent(SILENT).runOn(silenced.signal),
        shifts(),
      ]);
      // A failure is seen where it is awaited.
      running.catch(() => undefined);
      first = Promise.all([
        quiet.rotate(),
        // The new user stops being let in when the window has opened: Rekey's own test of it was before.
        risen.rotate(async () => {
          shutOut = await login('risen');
          await asSuperuser(world.server, DATABASE, `ALTER ROLE "${shutOut.user}" NOLOGIN`);
        }),
      ]).then(([of, other]) => ({ quiet: of, risen: other }));
      first.catch(() => undefined);
      await sleep(4000);
    }, 240_000);

    afterAll(async () => {
      stop.abort();
      silenced.abort();
      const examples = [inPython?.end(), inTypescript?.end()];
      await Promise.allSettled([running, quiet?.stop(), risen?.stop(), ...examples]);
      await service?.stop();
      vault?.destroy();
      fleet?.aws.destroy();
      try {
        await keepRecording('agents', world);
      } finally {
        await world?.stop();
      }
    }, 60_000);

    test('a rotation waits for the two in session that cannot change, and names them', async () => {
      const old = await login(CREDENTIAL);
      const id = await rotate();
      const ended = await follow(world, CREDENTIAL, id, () => undefined, 240_000);
      expect(ended.phase).toBe('completed');
      const deferred = await recordsOf(world, id, 'rotation-deferred');
      expect(deferred).toHaveLength(1);
      expect(JSON.stringify(deferred[0])).toContain('batch-1');
      expect(JSON.stringify(deferred[0])).toContain('batch-2');
      expect(await recordsOf(world, id, 'deferral-ended')).toMatchObject([{ why: 'gap', inSession: [] }]);
      expect(await tryLogin(world.server, old)).toBe('refused');
    });

    test('who never acknowledges is named, at the deadline and no sooner', async () => {
      const id = await rotate();
      await reaches(world, CREDENTIAL, id, 'window');
      await sleep(15_000);
      // Everybody else has moved: only the one is missing, and for its sake the old credential lives.
      const open = await show(id);
      expect(open.phase).toBe('window');
      expect(open.missing?.join(' ')).toContain(SILENT);
      for (const name of EVERYBODY) if (name !== SILENT) expect(open.missing?.join(' ')).not.toContain(name);
      const ended = await follow(world, CREDENTIAL, id, () => undefined, 240_000);
      expect(ended.phase).toBe('completed');
      const [intended] = await recordsOf(world, id, 'revocation-intended', 'suspension-intended');
      expect(JSON.stringify(intended?.['stragglers'])).toContain(SILENT);
    });

    test('a coordinator that is killed in mid-window is followed by another, which ends the rotation', async () => {
      const id = await rotate();
      await reaches(world, CREDENTIAL, id, 'window');
      const own = (await runningOf(world, OUTPUT.lifecycle)).filter(
        ({ name }) => name?.startsWith(id) === true,
      );
      expect(own).toHaveLength(1);
      const machines = new SFNClient(world.stack.clientConfig);
      for (const { executionArn } of own) await machines.send(new StopExecutionCommand({ executionArn }));
      machines.destroy();
      const ended = await follow(world, CREDENTIAL, id, () => undefined, 240_000);
      expect(ended.phase).toBe('completed');
      const statuses = new Set((await lifecyclesOf(world, id)).map(({ status }) => status));
      expect(statuses).toEqual(new Set(['ABORTED', 'SUCCEEDED']));
    });

    test('without the one that is silent the proof ends the window, long before its deadline', async () => {
      silenced.abort();
      await sleep(3000);
      const id = await rotate();
      const ended = await follow(world, CREDENTIAL, id, () => undefined, 240_000);
      expect(ended.phase).toBe('completed');
      const [intended] = await recordsOf(world, id, 'revocation-intended', 'suspension-intended');
      expect(intended).toMatchObject({ stragglers: [] });
      const opensAt = Date.parse(ended.window?.opensAt ?? '');
      const deadline = Date.parse(ended.window?.deadline ?? '');
      expect(Date.parse(ended.suspendedAt ?? '')).toBeGreaterThanOrEqual(opensAt + 5000);
      expect(Date.parse(ended.suspendedAt ?? '')).toBeLessThan(deadline);
    });

    test('the nineteen met no refusal in four rotations, and each has worked with five values', async () => {
      stop.abort();
      await running;
      const wellBehaved = [...WELL_BEHAVED, ...BETWEEN].map(agent);
      expect(wellBehaved.filter(({ refusals }) => refusals.length > 0).map(({ name }) => name)).toEqual([]);
      expect(wellBehaved.flatMap(({ name, troubles }) => troubles.map((each) => `${name}: ${each}`))).toEqual(
        [],
      );
      for (const { name, versions, worked } of wellBehaved) {
        expect(versions, name).toHaveLength(5);
        expect(worked, name).toBeGreaterThan(50);
      }
      const { code, said, complained } = await inPython.end();
      expect({ code, complained }).toEqual({ code: 0, complained: '' });
      const lines = said.map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(new Set(lines.flatMap(({ acknowledged }) => acknowledged ?? [])).size).toBe(4);
      expect(lines.at(-1)).toMatchObject({ refused: 0 });
      expect(Number(lines.at(-1)?.['done'])).toBeGreaterThan(50);
    });

    testFirstMovers(() => ({ world, vault, quiet, risen, first, shutOut }));

    test('the agent of the examples has moved with them', async () => {
      const { code, said, complained } = await inTypescript.end();
      expect({ code, complained }).toEqual({ code: 0, complained: '' });
      expect(said.filter((line) => line.startsWith('moving to'))).toHaveLength(1);
      expect(said.at(-1)).toMatch(/^done \d{3,}$/);
    });

    describeSelections(() => ({ world, vault }));
  },
);
