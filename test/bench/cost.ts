import { GetExecutionHistoryCommand, ListExecutionsCommand, SFNClient } from '@aws-sdk/client-sfn';
import { databaseCredential } from '../../local/demo/declaration.ts';
import type { RecordedCall } from '../../local/gateway/recorder.ts';
import type { RotateAnswer, RotationAnswer } from '../../shared/api/messages.ts';
import { MAX_LOOKS } from '../../shared/domain/window.ts';
import { CREDENTIAL_TYPES, FUNCTIONS, OUTPUT, typedFunction } from '../../shared/names.ts';
import { at, ofType, synthesise, text } from '../infra/app.ts';
import { count, type Figures } from './figures.ts';
import { callApi, until, type Stage, type Tell } from './stage.ts';

/**
 * What a month costs, from counted calls and list prices (docs/cost.md). Counts are of one planned rotation on the local
 * stack, whose path doesn't depend on how long its waits are; waits cost nothing, and how often a window is looked at
 * is what an AWS stage's durations say: once, where the proof is complete as it may close.
 */

/** Dollars, us-east-1, without free tiers. */
const PRICE = {
  secretsManagerCall: 0.05 / 10_000,
  transition: 25 / 1e6,
  writeUnit: 0.625 / 1e6,
  readUnit: 0.125 / 1e6,
  lambdaCall: 0.2 / 1e6,
  lambdaGbSecond: 0.0000133334,
  kmsCall: 0.03 / 10_000,
  s3Put: 0.005 / 1000,
  event: 1 / 1e6,
  apiCall: 1 / 1e6,
  key: 1,
  alarm: 0.1,
  dashboard: 3,
} as const;

/** Assumed where the recorder can't tell, on the dear side. */
const ASSUMED = {
  /** Of one transaction: a head, a rotation and a record, doubled for the transaction, with their index. */
  writeUnitsPerTransaction: 24,
  /** Of one call, cold starts included, at 512 MB. */
  lambdaSeconds: 1,
  lambdaGb: 0.5,
} as const;

const DAY = 86_400;
const MONTH = 30.4 * DAY;
const SECONDS: Readonly<Record<string, number>> = { minute: 60, hour: 3600, day: DAY };
const ROTATIONS_A_MONTH = 30.4 / 30;
/** What a lifecycle goes through again and again while the proof isn't complete. */
const LOOK = ['Window', 'Evidence', 'Verify', 'Decision'];

export async function cost(stage: Stage, tell: Tell): Promise<Figures> {
  const world = await stage.world();
  await stage.register(databaseCredential(world.server, 'priced', 'priced_app', 'priced-agents'));
  const { recorder } = world.stack.gateway;
  const after = recorder.seq;
  const path = '/v1/credentials/priced/rotations';
  const { rotation } = await callApi<RotateAnswer>(world, 'POST', path, { reason: 'bench' });
  const ended = await until(
    async () => (await callApi<RotationAnswer>(world, 'GET', `${path}/${rotation.id}`)).rotation,
    ({ over }) => over,
    120_000,
    500,
  );
  if (ended.phase !== 'completed')
    throw new Error(
      `the rotation ended as ${ended.phase}: ${ended.failure?.message ?? 'no failure is told'}`,
    );
  tell('one rotation, counted');
  const calls = recorder.calls({ after }).filter(({ function: caller }) => isOwn(caller));
  const { transitions, invocations, events, eventsPerLook } = await history(
    new SFNClient(world.stack.clientConfig),
    world.output(OUTPUT.lifecycle),
    rotation.id,
  );
  const [rotating, parts] = perRotation(calls, transitions, invocations);
  const monthly = (credentials: number): number => credentials * ROTATIONS_A_MONTH * rotating;
  const [fixed, fixedParts] = perMonth();
  return {
    'cost: one rotation': count(rotating * 1000, 'dollars per 1,000 rotations', { detail: parts }),
    'cost: a month, fixed': count(fixed, 'dollars', { detail: fixedParts }),
    'cost: a month of 60 credentials, variable': count(monthly(60), 'dollars, storage of secrets apart'),
    'cost: a month of 1,000 credentials, variable': count(
      monthly(1000),
      'dollars, storage of secrets apart',
      {
        goal: { is: 'at most', bound: 15 },
      },
    ),
    'history: the longest lifecycle': count(
      events + MAX_LOOKS * eventsPerLook,
      `events, ${MAX_LOOKS} looks of ${eventsPerLook}`,
      { goal: { is: 'at most', bound: 9_999 } },
    ),
  };
}

/** The schedules' calls are not a rotation's. */
function isOwn(caller: string | undefined): boolean {
  return FUNCTIONS.some(
    (name) =>
      name === caller &&
      typedFunction(name)?.role !== 'reconcile' &&
      !['plan-rotations', 'control-api'].includes(name),
  );
}

/** What the machine went through, by its own history. */
async function history(
  client: SFNClient,
  machine: string,
  rotationId: string,
): Promise<{ transitions: number; invocations: number; events: number; eventsPerLook: number }> {
  try {
    const { executions = [] } = await client.send(new ListExecutionsCommand({ stateMachineArn: machine }));
    const arn = executions.find(({ name }) => name?.startsWith(rotationId) === true)?.executionArn;
    const { events = [] } = await client.send(
      new GetExecutionHistoryCommand({ executionArn: arn, maxResults: 1000 }),
    );
    const ofState = new Map<string, number>();
    let [state, since] = ['', 0];
    events.forEach(({ type, stateEnteredEventDetails }, index) => {
      if (type?.endsWith('StateEntered') !== true) return;
      ofState.set(state, Math.max(ofState.get(state) ?? 0, index - since));
      [state, since] = [stateEnteredEventDetails?.name ?? '', index];
    });
    const entered = events.filter(({ type }) => type?.endsWith('StateEntered') === true).length;
    const tasks = events.filter(({ type }) => type === 'TaskStateEntered').length;
    if (entered === 0 || tasks === 0) throw new Error('the history of the rotation has no states');
    const eventsPerLook = LOOK.reduce((sum, each) => sum + (ofState.get(each) ?? Number.NaN), 0);
    return { transitions: entered, invocations: tasks, events: events.length, eventsPerLook };
  } finally {
    client.destroy();
  }
}

function perRotation(
  calls: readonly RecordedCall[],
  transitions: number,
  invocations: number,
): [dollars: number, parts: string[]] {
  const of = (service: string, pattern = /./): number =>
    calls.filter((call) => call.service === service && pattern.test(call.operation)).length;
  const values = of('secretsmanager', /^(Get|Put)SecretValue$/);
  const puts = of('s3', /^PutObject$/);
  const events = of('events');
  // Four steps of Secrets Manager, one call of the API, and of the streams one for each object and event at worst.
  const lambdas = invocations + 4 + 1 + puts + events;
  const { writeUnitsPerTransaction, lambdaGb, lambdaSeconds } = ASSUMED;
  const lines: readonly [string, number, number][] = [
    ['transitions of Step Functions', transitions, PRICE.transition],
    ['calls of Secrets Manager', of('secretsmanager'), PRICE.secretsManagerCall],
    ['calls of KMS', values, PRICE.kmsCall],
    ['transactions of DynamoDB', of('dynamodb', /^Transact/), writeUnitsPerTransaction * PRICE.writeUnit],
    ['reads of DynamoDB', of('dynamodb', /^(Get|Query)/), PRICE.readUnit],
    ['objects of S3', puts, PRICE.s3Put],
    ['events', events, PRICE.event],
    ['calls of the API', 1, PRICE.apiCall],
    ['calls of Lambda', lambdas, PRICE.lambdaCall + lambdaGb * lambdaSeconds * PRICE.lambdaGbSecond],
  ];
  return summed(lines);
}

/** What runs without a rotation, by the templates of an AWS stage. */
function perMonth(): [dollars: number, parts: string[]] {
  const stacks = synthesise({ stage: 'prod', settings: { types: [...CREDENTIAL_TYPES] } });
  const runs = ofType(stacks, 'AWS::Events::Rule')
    .map(({ Properties }) =>
      /^rate\((\d+) (minute|hour|day)s?\)$/.exec(text(at(Properties, 'ScheduleExpression'))),
    )
    .filter((rate) => rate !== null)
    .map(([, every = '1', unit = 'day']) => MONTH / (Number(every) * (SECONDS[unit] ?? DAY)))
    .reduce((sum, each) => sum + each, 0);
  return summed([
    ['keys of KMS', ofType(stacks, 'AWS::KMS::Key').length, PRICE.key],
    ['alarms', ofType(stacks, 'AWS::CloudWatch::Alarm').length, PRICE.alarm],
    ['dashboards', ofType(stacks, 'AWS::CloudWatch::Dashboard').length, PRICE.dashboard],
    // Each reads at most the planner's 16 shards.
    [
      'runs of the schedules',
      Math.round(runs),
      PRICE.lambdaCall + 0.2 * ASSUMED.lambdaGb * PRICE.lambdaGbSecond + 16 * PRICE.readUnit,
    ],
  ]);
}

function summed(lines: readonly (readonly [string, number, number])[]): [dollars: number, parts: string[]] {
  const parts = lines.map(([what, number, price]) => `${what}: ${number}, $${(number * price).toFixed(6)}`);
  return [lines.reduce((sum, [, number, price]) => sum + number * price, 0), parts];
}
