import { InvokeCommand, LambdaClient, paginateListFunctions } from '@aws-sdk/client-lambda';
import { paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { chainFaults, settledArchive } from '../../local/demo/archive.ts';
import type { World } from '../../local/demo/world.ts';
import type { FaultRule } from '../../local/gateway/faults.ts';
import type { RecordedCall } from '../../local/gateway/recorder.ts';
import { ENV, OUTPUT } from '../../shared/names.ts';
import { inParallel } from '../support/in-parallel.ts';
import { count, ratio, type Figures } from './figures.ts';
import { ledgerOf, type Made } from './many-credentials.ts';
import { coursesOf, slowestOf, type Course } from './emergency-trails.ts';
import {
  emergencyCalls,
  endOf,
  LOOKS_AT_ONCE,
  revokeAll,
  slowestCalls,
  taken,
  withMany,
} from './many-emergencies.ts';
import { until, type Tell } from './stage.ts';

const LIMIT_MS = 900_000;
const ARCHIVE_LIMIT_MS = 300_000;
/** So many credentials, of each type some, are revoked before anything is measured. */
const WARM_UP = 9;

type Match = NonNullable<FaultRule['match']>;

/** Functions that have a part in an emergency or its records. */
const CALLERS = ['control-api', 'revoke-*', 'record-emergency', 'archive-audit'];
const WRITES = ['TransactWriteItems', 'PutItem', 'UpdateItem', 'DeleteItem'];

/** What is down, and which calls fail therefore. */
const OUTAGES = {
  nothing: [],
  ledger: WRITES.map((operation) => ({ service: 'dynamodb', operation })),
  s3: [{ service: 's3' }],
  both: [...WRITES.map((operation) => ({ service: 'dynamodb', operation })), { service: 's3' }],
} as const satisfies Record<string, readonly Match[]>;
type Outage = keyof typeof OUTAGES;

const NAMES: Readonly<Record<Outage, string>> = {
  nothing: 'nothing down',
  ledger: 'no writes to the ledger',
  s3: 'S3 down',
  both: 'no writes to the ledger, S3 down',
};

/** What came of an emergency while something was down, and afterwards. */
interface Round {
  /** From the request until the last upstream refused the last value. */
  readonly deadAfterMs: number;
  /** Calls that were refused until then. */
  readonly refused: number;
  readonly calls: readonly RecordedCall[];
  readonly status: string;
  /** Objects of the spool while it was down, and once it was reconciled. */
  readonly spooled: number;
  readonly left: number;
  readonly courses: readonly Course[];
}

/**
 * The same emergency with nothing down, with each audit sink down, and with both: a share of `wanted` credentials each; or with `down`
 * alone, which has all of them. A sink is back only once every upstream refuses every value. Then each record has to be there once,
 * and nothing in the spool.
 */
export function emergencyWithoutSinks(
  wanted: number,
  down: string | undefined,
  tell: Tell,
): Promise<Figures> {
  const known = Object.keys(OUTAGES) as Outage[];
  const outages = down === undefined ? known : known.filter((outage) => outage === down);
  if (outages.length === 0) throw new Error(`what may be down: ${known.join(', ')}`);
  const share = Math.ceil(wanted / outages.length);
  return withMany(share * outages.length + WARM_UP, tell, async (world, all) => {
    const figures: Figures[] = [];
    const recording = await recorderOf(world);
    const made = all.slice(WARM_UP);
    tell(`one emergency of ${WARM_UP} to warm the functions up`);
    await endOf(world, await revokeAll(world, all.slice(0, WARM_UP), 'INC-warm-up'));
    await reconcile(world, recording);
    let usual: Round | undefined;
    for (const [at, outage] of outages.entries()) {
      tell(`revoking ${share}: ${NAMES[outage]}`);
      const ones = made.slice(at * share, (at + 1) * share);
      const round = await revoke(world, ones, outage, recording, tell);
      if (outage === 'nothing') usual = round;
      figures.push(report(outage, ones.length, round, usual));
    }
    figures.push(await archived(world, all));
    return Object.assign({}, ...figures) as Figures;
  });
}

interface Recording {
  readonly functionName: string;
  readonly bucket: string;
}

/** The function that writes down what was spooled, and the bucket where that is. */
async function recorderOf({ stack }: World): Promise<Recording> {
  const client = new LambdaClient(stack.clientConfig);
  try {
    for await (const { Functions = [] } of paginateListFunctions({ client }, {})) {
      const found = Functions.find(({ FunctionName = '' }) => FunctionName.includes('RecordEmergency'));
      const bucket = found?.Environment?.Variables?.[ENV.snapshots];
      if (found?.FunctionName !== undefined && bucket !== undefined)
        return { functionName: found.FunctionName, bucket };
    }
    throw new Error('nothing records emergencies');
  } finally {
    client.destroy();
  }
}

async function revoke(
  world: World,
  made: readonly Made[],
  outage: Outage,
  recording: Recording,
  tell: Tell,
): Promise<Round> {
  const { recorder, faults } = world.stack.gateway;
  const after = recorder.seq;
  const lift = OUTAGES[outage].flatMap((match) =>
    CALLERS.map((caller) => faults.add({ match: { ...match, function: caller }, action: { kind: 'error' } })),
  );
  const askedAt = Date.now();
  const started = await revokeAll(world, made, `INC-${outage}`);
  let left = [...made];
  await until(
    async () => (left = await taken(left)),
    () => left.length === 0,
    LIMIT_MS,
    1000,
  );
  const deadAfterMs = Date.now() - askedAt;
  const calls = emergencyCalls(world, after);
  const refused = recorder.calls({ after }).filter(({ fault }) => fault !== undefined).length;
  const spooled = await spooledIn(world, recording);
  tell(`all are dead, ${spooled} are spooled`);
  for (const back of lift) back();
  const { status } = await endOf(world, started);
  tell(`the emergency ended as ${status}; reconciling`);
  await reconcile(world, recording);
  return {
    deadAfterMs,
    refused,
    calls,
    status,
    spooled,
    left: await spooledIn(world, recording),
    courses: await coursesOf(world, made, askedAt),
  };
}

/** As its schedule does. */
async function reconcile({ stack }: World, { functionName }: Recording): Promise<void> {
  const client = new LambdaClient(stack.clientConfig);
  const { FunctionError } = await client.send(
    new InvokeCommand({
      FunctionName: functionName,
      Qualifier: 'live',
      Payload: JSON.stringify({ action: 'reconcile' }),
    }),
  );
  client.destroy();
  if (FunctionError !== undefined) throw new Error(`the spool was not reconciled: ${FunctionError}`);
}

async function spooledIn({ stack }: World, { bucket }: Recording): Promise<number> {
  const client = new S3Client({ ...stack.clientConfig, forcePathStyle: true });
  let found = 0;
  for await (const { Contents = [] } of paginateListObjectsV2(
    { client },
    { Bucket: bucket, Prefix: 'intents/' },
  ))
    found += Contents.length;
  client.destroy();
  return found;
}

/** Whether the archive has what the ledger has, of every credential: one that is left out would hide what is missing of another. */
async function archived(world: World, made: readonly Made[]): Promise<Figures> {
  const ledger = ledgerOf(world);
  let expected = 0;
  await inParallel(
    made,
    async ({ credential: { id } }) => {
      const seq = (await ledger.credential(id))?.seq ?? 0;
      expected += seq;
    },
    LOOKS_AT_ONCE,
  );
  const records = await settledArchive(world.stack, world.output(OUTPUT.archive), expected, ARCHIVE_LIMIT_MS);
  const goal = { is: 'at most', bound: 0 } as const;
  return {
    'sinks down: records not in the archive': count(expected - records.length, `of ${expected}`, { goal }),
    'sinks down: faults in the chains of the archive': count(chainFaults(records), 'faults', { goal }),
  };
}

function report(outage: Outage, made: number, round: Round, usual: Round | undefined): Figures {
  const name = NAMES[outage];
  const all = { is: 'at least', bound: made } as const;
  const none = { is: 'at most', bound: 0 } as const;
  const [first] = round.calls;
  const isUsual = usual === undefined || outage === 'nothing';
  return {
    [`${name}: dead at their upstreams`]: count(made, `of ${made}`, {
      goal: all,
      detail: [
        'AWS calls of its functions until then by the time they take together, of all of them:',
        ...slowestCalls(round.calls),
      ],
    }),
    [`${name}: first action is no revocation`]: count(
      first?.function?.startsWith('revoke-') === true ? 0 : 1,
      'actions',
      { goal: none, detail: [`${first?.function ?? 'nobody'}: ${first?.service} ${first?.operation}`] },
    ),
    ...(isUsual
      ? {}
      : {
          [`${name}: until the last is dead`]: ratio(
            round.deadAfterMs / usual.deadAfterMs,
            '× of',
            'nothing down',
          ),
        }),
    ...(outage === 'nothing'
      ? {}
      : {
          [`${name}: calls refused meanwhile`]: count(round.refused, 'calls', {
            goal: { is: 'more than', bound: 0 },
          }),
        }),
    // With nothing down an intent that takes longer than is waited for is spooled as well.
    [`${name}: spooled meanwhile`]: count(
      round.spooled,
      'objects',
      outage === 'nothing' ? {} : { goal: outage === 'ledger' ? all : none },
    ),
    [`${name}: recorded once afterwards`]: count(round.courses.length, `of ${made}`, { goal: all }),
    ...slowestOf(name, round.courses),
    [`${name}: left in the spool`]: count(round.left, 'objects', { goal: none }),
    [`${name}: emergencies that failed`]: count(round.status === 'SUCCEEDED' ? 0 : 1, 'emergencies', {
      goal: none,
    }),
  };
}
