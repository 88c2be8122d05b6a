// Emergencies of a selection on a deployed stack: what is selected dies at the database and is replaced, and nothing else is touched.
import { beforeAll, describe, expect, test } from 'vitest';
import { agentRole } from '../../local/demo/agent.ts';
import { tryLogin } from '../../local/demo/database.ts';
import { databaseCredential } from '../../local/demo/declaration.ts';
import { readLogin } from '../../local/demo/fleet.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { EmergencyAnswer, ListAnswer } from '../../shared/api/messages.ts';
import { Instance, type AgentCaller } from '../support/agent-api.ts';
import { callAs } from './deployed-agent.ts';
import { apply, type Deployed } from './deployed.ts';

/** An agent that hands a credential to its sub-agent, which has one of its own beside. */
const LEAD = 'lead';
const SUB = 'sub';
const HANDED = 'handed';
const OWN = 'own';

const terms = (credential: string, delegates: readonly string[] = []) => ({
  credential,
  refresh: 'in-session',
  ttl: '2s',
  staleLimit: '10s',
  uses: 'unreported',
  delegates,
});

/** Tests of selections among all that is declared in a world whose agents have stopped. */
export function describeSelections(given: () => Deployed): void {
  describe('an emergency of a selection', () => {
    let { world, vault } = {} as Deployed;
    let sub: AgentCaller;

    const login = (name: string) => readLogin(vault, `agents/${name}`);
    const all = async (): Promise<string[]> =>
      (await rekeyJson<ListAnswer>(['list'], world.env)).credentials.map(({ name }) => name);
    /** What the database says to the value that each had before, and to that of now. */
    const revoked = async (...selection: string[]): Promise<Record<string, string[]>> => {
      const before = await Promise.all((await all()).map(async (name) => [name, await login(name)] as const));
      const order = ['--incident', 'INC-40', '--reason', 'test', '--yes', '--wait'];
      const command = ['revoke', ...selection, ...order];
      expect(await rekeyJson<EmergencyAnswer>(command, world.env, 200_000)).toMatchObject({
        status: 'SUCCEEDED',
      });
      const said = before.map(async ([name, old]) => [
        name,
        [await tryLogin(world.server, old), await tryLogin(world.server, await login(name))],
      ]);
      return Object.fromEntries(await Promise.all(said)) as Record<string, string[]>;
    };
    /** That these have died and been replaced, and all others work as before. */
    const expected = async (...dead: string[]): Promise<Record<string, string[]>> =>
      Object.fromEntries(
        (await all()).map((name) => [name, [dead.includes(name) ? 'refused' : 'accepted', 'accepted']]),
      );

    beforeAll(async () => {
      ({ world, vault } = given());
      const [ofLead, ofSub] = await Promise.all([agentRole(world, LEAD), agentRole(world, SUB)]);
      const holder = (name: string, principal: string) => ({ kind: 'client', name, principal });
      const declare = async (name: string, ...holders: object[]) =>
        expect(
          await apply(world, { ...databaseCredential(world.server, name, `${name}_app`, ''), holders }),
        ).toMatchObject({ status: 0 });
      await declare(HANDED, holder(LEAD, ofLead), holder(SUB, ofSub));
      await declare(OWN, holder(SUB, ofSub));
      sub = await callAs(world, ofSub);
      const registered = [
        { caller: sub, agent: SUB, credentials: [terms(HANDED), terms(OWN)] },
        { caller: await callAs(world, ofLead), agent: LEAD, credentials: [terms(HANDED, [SUB])] },
      ];
      for (const { caller, agent, credentials } of registered) {
        const pact = { version: 1, agent, credentials, sessionLimit: '1h' };
        expect(await caller.call('PUT', `/agents/${agent}/pact`, pact)).toMatchObject({ status: 200 });
      }
    }, 60_000);

    test('of an agent with its closure ends what its sub-agent has beside, and tells that one', async () => {
      const instance = await Instance.make(sub, 'host-1', 'HS256', SUB);
      const { body } = await instance.open();
      const notices = body['notices'] as { credential: string; versionId: string }[];
      const { versionId = '' } = notices.find(({ credential }) => credential === OWN) ?? {};
      expect(await revoked('--agent', LEAD, '--closure')).toEqual(await expected(HANDED, OWN));
      expect((await instance.holds(versionId, OWN)).body['notices']).toContainEqual(
        expect.objectContaining({ credential: OWN, state: 'steady', urgent: true }),
      );
    });

    test('of a fleet ends what that fleet holds', async () => {
      expect(await revoked('--fleet', 'shop')).toEqual(await expected('orders'));
    });

    test('of a provider ends all that is of it', async () => {
      expect(await revoked('--provider', 'postgresql')).toEqual(await expected(...(await all())));
    });
  });
}
