import { setTimeout as sleep } from 'node:timers/promises';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { asSuperuser, DATABASE } from '../../local/demo/database.ts';
import { databaseCredential, TTL_SECONDS } from '../../local/demo/declaration.ts';
import { readLogin, startFleet } from '../../local/demo/fleet.ts';
import type { World } from '../../local/demo/world.ts';
import type { RecordedCall } from '../../local/gateway/recorder.ts';
import type { RotateAnswer, RotationAnswer } from '../../shared/api/messages.ts';
import { FUNCTIONS, typedFunction } from '../../shared/names.ts';
import { count, type Figure, type Figures } from './figures.ts';
import { callApi, until, type Stage, type Tell } from './stage.ts';
import { alternatingUsers, singleUser, TemplateCredential } from './templates.ts';

const ROUNDS = 3;
const AGENTS = 4;
const LIMIT_MS = 120_000;
/** Agents run for so long before and after each rotation: longer than they keep a value. */
const SETTLE_MS = (TTL_SECONDS + 0.5) * 1000;
const NAME = 'orders';

/** A way to rotate, and what its agents have gone through, by PostgreSQL's own log. */
interface Contender {
  readonly name: string;
  readonly secret: string;
  rotate(): Promise<void>;
  readonly seen: { logins: number; refused: number; denied: number; other: number };
}

/**
 * The same fleet through successive rotations by Rekey as deployed, and by the two templates, in turn. After the first
 * round a new table is granted to the user of the day, and from then on the agents use that one.
 */
export async function rotationUnderLoad(stage: Stage, tell: Tell): Promise<Figures> {
  const world = await stage.world();
  await stage.register(databaseCredential(world.server, NAME, 'orders_app', 'order-agents'));
  const single = await TemplateCredential.create(world, 'single_app', 'orders_app', singleUser);
  const alternating = await TemplateCredential.create(
    world,
    'alternating_app',
    'orders_app',
    alternatingUsers,
  );
  const seen = () => ({ logins: 0, refused: 0, denied: 0, other: 0 });
  const ours: Contender = {
    name: 'Rekey',
    secret: `agents/${NAME}`,
    rotate: () => rotate(world),
    seen: seen(),
  };
  const singly: Contender = {
    name: 'single user',
    secret: single.secret,
    rotate: () => single.rotate(),
    seen: seen(),
  };
  const alternately: Contender = {
    name: 'alternating users',
    secret: alternating.secret,
    rotate: () => alternating.rotate(),
    seen: seen(),
  };
  let calls: readonly RecordedCall[] = [];
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      for (const contender of [ours, singly, alternately]) {
        const { recorder } = world.stack.gateway;
        const after = recorder.seq;
        await underLoad(world, contender, round === 1 ? 'shop.orders' : tableOf(contender));
        if (contender === ours) calls = [...calls, ...recorder.calls({ after })];
        const { logins, refused, denied } = contender.seen;
        tell(
          `round ${round}, ${contender.name}: ${refused} logins refused, ${denied} denials in ${logins} logins so far`,
        );
        if (round === 1) await grantNewTable(world, contender);
      }
    }
  } finally {
    single.close();
    alternating.close();
  }
  return { ...failures(ours, singly, alternately), ...callsPerRotation(calls) };
}

/** Runs the agents, one rotation in their midst, and adds up what the log says about it. */
async function underLoad(world: World, contender: Contender, table: string): Promise<void> {
  const before = await world.server.refusals();
  const fleet = startFleet(world.server, world.stack, {
    agents: AGENTS,
    secret: contender.secret,
    ttlSeconds: TTL_SECONDS,
    query: `INSERT INTO ${table} DEFAULT VALUES`,
    pauseMs: 10,
  });
  try {
    await sleep(SETTLE_MS);
    await contender.rotate();
    await sleep(SETTLE_MS);
  } finally {
    await fleet.stop();
  }
  const after = await world.server.refusals();
  const { queries, authFailures, permissionFailures, otherFailures } = fleet.counts;
  const { seen } = contender;
  seen.logins += queries + authFailures + permissionFailures;
  seen.refused +=
    after.authentication - before.authentication + (after.notPermittedToLogIn - before.notPermittedToLogIn);
  seen.denied += after.permissionDenied - before.permissionDenied;
  seen.other += [...otherFailures.values()].reduce((sum, times) => sum + times, 0);
}

async function rotate(world: World): Promise<void> {
  const path = `/v1/credentials/${NAME}/rotations`;
  const { rotation } = await callApi<RotateAnswer>(world, 'POST', path, { reason: 'bench' });
  const ended = await until(
    async () => (await callApi<RotationAnswer>(world, 'GET', `${path}/${rotation.id}`)).rotation,
    ({ over }) => over,
    LIMIT_MS,
    500,
  );
  if (ended.phase !== 'completed') throw new Error(`the rotation ended as ${ended.phase}`);
}

const tableOf = ({ name }: Contender): string => `shop.late_${name.replaceAll(' ', '_').toLowerCase()}`;

/** What a team does that knows only the login of today. */
async function grantNewTable(world: World, contender: Contender): Promise<void> {
  const vault = new SecretsManagerClient(world.stack.clientConfig);
  const { user } = await readLogin(vault, contender.secret);
  vault.destroy();
  const table = tableOf(contender);
  await asSuperuser(
    world.server,
    DATABASE,
    `SET ROLE shop_tables; CREATE TABLE ${table} (id bigint GENERATED ALWAYS AS IDENTITY);
     GRANT SELECT, INSERT ON ${table} TO ${user}`,
  );
}

function failures(ours: Contender, single: Contender, alternating: Contender): Figures {
  const none = { goal: { is: 'at most', bound: 0 } } as const;
  const some = { goal: { is: 'more than', bound: 0 } } as const;
  const beside = (value: number, unit: string, peer: Contender, peerValue: number): Figure => ({
    ...count(value, unit, none),
    peer: `beside ${peerValue} with ${peer.name}`,
    ratio: value / peerValue,
  });
  return {
    'rotation: logins refused': beside(ours.seen.refused, 'logins', single, single.seen.refused),
    'rotation: permissions denied': beside(ours.seen.denied, 'queries', alternating, alternating.seen.denied),
    'rotation: other failures': count(ours.seen.other, 'queries', none),
    'rotation: logins': count(ours.seen.logins, `logins through ${ROUNDS} rotations`),
    'rotation, single user: logins refused': count(single.seen.refused, 'logins', some),
    'rotation, single user: logins': count(single.seen.logins, `logins through ${ROUNDS} rotations`),
    'rotation, alternating users: permissions denied': count(alternating.seen.denied, 'queries', some),
    'rotation, alternating users: logins': count(
      alternating.seen.logins,
      `logins through ${ROUNDS} rotations`,
    ),
  };
}

/** Calls of Rekey's functions. Agents' calls are not a rotation's, nor the schedule's, nor the looks of whoever waits. */
function callsPerRotation(calls: readonly RecordedCall[]): Figures {
  const own = calls.filter(
    ({ function: caller, operation }) =>
      FUNCTIONS.some((name) => name === caller && typedFunction(name)?.role !== 'reconcile') &&
      (caller !== 'control-api' || !/^(Get|Query)/.test(operation)),
  );
  const services = Map.groupBy(own, ({ service }) => service);
  return Object.fromEntries(
    [...services]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([service, some]) => {
        const detail = [...Map.groupBy(some, ({ operation }) => operation)].map(
          ([operation, ones]) => `${service} ${operation}: ${(ones.length / ROUNDS).toFixed(1)}`,
        );
        return [`AWS calls per rotation: ${service}`, count(some.length / ROUNDS, 'calls', { detail })];
      }),
  );
}
