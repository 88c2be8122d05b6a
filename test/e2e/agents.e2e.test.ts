import { setTimeout as sleep } from 'node:timers/promises';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { ListExecutionsCommand, SFNClient, StopExecutionCommand } from '@aws-sdk/client-sfn';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tryLogin } from '../../local/demo/database.ts';
import { databaseCredential, writeDeclaration } from '../../local/demo/declaration.ts';
import { readLogin } from '../../local/demo/fleet.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import { follow } from '../../local/demo/scenario.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import type { RotateAnswer, RotationView, ShowAnswer } from '../../shared/api/messages.ts';
import { OUTPUT } from '../../shared/names.ts';
import { forgetRecording, keepRecording } from '../support/iam/recording.ts';
import { FleetAgent, type FleetWorld } from './agent-fleet.ts';
import { agentRole, callAs } from './deployed-agent.ts';
import { recordsOf } from './records.ts';
import { lifecyclesOf, reaches } from './upgrading.ts';

const CREDENTIAL = 'orders';
/** 17 that change the value while they work, two that can't, one that never acknowledges. */
const WELL_BEHAVED = Array.from({ length: 17 }, (_, index) => `agent-${String(index + 1).padStart(2, '0')}`);
const BETWEEN = ['batch-1', 'batch-2'];
const SILENT = 'silent';
const EVERYBODY = [...WELL_BEHAVED, ...BETWEEN, SILENT];
const SESSION_SECONDS = 8;

describe(
  'twenty agents on the deployed stack share a credential that rotates under them',
  { timeout: 600_000 },
  () => {
    let world: World;
    let vault: SecretsManagerClient;
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
        await Promise.all(BETWEEN.map((name) => agent(name).runSession(SESSION_SECONDS)));
        await sleep(500);
      }
    };

    beforeAll(async () => {
      await forgetRecording('agents');
      world = await startWorld(() => undefined);
      vault = new SecretsManagerClient(world.stack.clientConfig);
      const principal = await agentRole(world, 'fleet');
      const declared = databaseCredential(world.server, CREDENTIAL, 'orders_app', '');
      const credential = {
        ...declared,
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
      await rekeyJson(['apply', '-f', await writeDeclaration(world.dir, [credential])], world.env);
      const api = await callAs(world, principal);
      const fleet: FleetWorld = {
        server: world.server,
        vault,
        api,
        credential: CREDENTIAL,
        secret: `agents/${CREDENTIAL}`,
      };
      for (const name of EVERYBODY) {
        const pact = {
          version: 1,
          agent: name,
          sessionLimit: '1m',
          credentials: [
            {
              credential: CREDENTIAL,
              refresh: BETWEEN.includes(name) ? 'between-sessions' : 'in-session',
              ttl: '2s',
              staleLimit: '30s',
              uses: 'unreported',
            },
          ],
        };
        expect(await api.call('PUT', `/agents/${name}/pact`, pact)).toMatchObject({ status: 200 });
        agents.set(name, new FleetAgent(fleet, { name, acknowledges: name !== SILENT }));
      }
      running = Promise.all([
        ...WELL_BEHAVED.map((name) => agent(name).runOn(stop.signal)),
        agent(SILENT).runOn(silenced.signal),
        shifts(),
      ]);
      // A failure is seen where it is awaited.
      running.catch(() => undefined);
      await sleep(4000);
    }, 240_000);

    afterAll(async () => {
      stop.abort();
      silenced.abort();
      await running.catch(() => undefined);
      vault.destroy();
      try {
        await keepRecording('agents', world);
      } finally {
        await world?.stop();
      }
    }, 60_000);

    test('a rotation waits for the two in session that cannot change, and names them', async () => {
      const old = await readLogin(vault, `agents/${CREDENTIAL}`);
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
      await sleep(12_000);
      // Everybody else has moved: only the one is missing, and for its sake the old credential lives.
      const open = await show(id);
      expect(open.phase).toBe('window');
      expect(open.missing?.join(' ')).toContain(SILENT);
      for (const name of WELL_BEHAVED) expect(open.missing?.join(' ')).not.toContain(name);
      const ended = await follow(world, CREDENTIAL, id, () => undefined, 240_000);
      expect(ended.phase).toBe('completed');
      const [intended] = await recordsOf(world, id, 'revocation-intended', 'suspension-intended');
      expect(JSON.stringify(intended?.['stragglers'])).toContain(SILENT);
    });

    test('a coordinator that is killed in mid-window is followed by another, which ends the rotation', async () => {
      const id = await rotate();
      await reaches(world, CREDENTIAL, id, 'window');
      const machines = new SFNClient(world.stack.clientConfig);
      const { executions = [] } = await machines.send(
        new ListExecutionsCommand({
          stateMachineArn: world.output(OUTPUT.lifecycle),
          statusFilter: 'RUNNING',
        }),
      );
      const own = executions.filter(({ name }) => name?.startsWith(id) === true);
      expect(own).toHaveLength(1);
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
      expect(wellBehaved.filter(({ refused }) => refused > 0).map(({ name }) => name)).toEqual([]);
      expect(wellBehaved.flatMap(({ name, troubles }) => troubles.map((each) => `${name}: ${each}`))).toEqual(
        [],
      );
      for (const { name, versions, worked } of wellBehaved) {
        expect(new Set(versions).size, name).toBe(5);
        expect(worked, name).toBeGreaterThan(50);
      }
    });
  },
);
