// `npm run verify:aws`: does Secrets Manager still do what Rekey's engine believes? Asked on a real account, or of the
// local gateway (hard decision 16).
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { Finding } from './beliefs.ts';
import type { Pace } from './scenario.ts';
import { PREFIX, type Place } from './stage.ts';
import { verify, type Report } from './run.ts';

const EXIT = { differs: 1, usage: 2, unseen: 3, left: 4, failed: 5, interrupted: 130 };

/** The service retries a step when it likes: minutes may pass. */
const PACE: Pace = { patienceSeconds: 600, quietSeconds: 60, holdSeconds: 20 };

const HELP = `npm run verify:aws -- [options]

Asks Secrets Manager in your account whether it does what Rekey's engine rests on: each belief is reported as
"holds", "differs" (with what was seen) or "not observed in time".

  --yes               do not ask before anything is made
  --json FILE         write the findings as JSON as well
  --patience SECONDS  wait this long for what must come (${PACE.patienceSeconds})
  --quiet SECONDS     watch this long that nothing more comes (${PACE.quietSeconds})
  --hold SECONDS      stand still this long in a step, to act meanwhile (${PACE.holdSeconds})
  --help

Profile, region and endpoint as for the AWS CLI (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL).
Exit: 0 all hold · ${EXIT.differs} something differs · ${EXIT.usage} wrong usage, or not agreed to · ${EXIT.unseen} something was not
observed · ${EXIT.left} something that was made is left · ${EXIT.failed} could not be carried out · ${EXIT.interrupted} interrupted.`;

const { values } = parseArgs({
  options: {
    yes: { type: 'boolean', default: false },
    json: { type: 'string' },
    patience: { type: 'string' },
    quiet: { type: 'string' },
    hold: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) console.log(HELP);
else {
  process.exitCode = await main().catch((error: unknown) => {
    console.error(`could not be carried out: ${String(error)}`);
    return EXIT.failed;
  });
}

async function main(): Promise<number> {
  const pace: Pace = {
    patienceSeconds: secondsOf(values.patience, PACE.patienceSeconds),
    quietSeconds: secondsOf(values.quiet, PACE.quietSeconds),
    holdSeconds: secondsOf(values.hold, PACE.holdSeconds),
  };
  if (Object.values(pace).some((seconds) => !(seconds > 0)) || pace.holdSeconds > 50) {
    console.error(
      '--patience, --quiet and --hold take seconds, --hold at most 50 (npm run verify:aws -- --help)',
    );
    return EXIT.usage;
  }
  const place = await placeOf();
  console.log(`In account ${place.accountId}, region ${place.region}, this makes and removes again:
  secrets ${PREFIX}*, with values that mean nothing · a role, an SQS queue and a Lambda function of the same name
It takes 3 to 20 minutes and costs less than $0.05. It reads and changes nothing else.`);
  if (!values.yes && !(await agreed())) {
    console.error('Nothing was made. Agree at the prompt, or with --yes.');
    return EXIT.usage;
  }
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!ended.signal.aborted) console.error('ending; what was made is being removed, please wait');
      ended.abort();
    });
  }
  try {
    const tell = (line: string): void => console.log(`  ${line}`);
    const report = await verify({ place, pace, signal: ended.signal, tell });
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
    return conclude(report);
  } catch (error) {
    if (ended.signal.aborted) return EXIT.interrupted;
    throw error;
  }
}

function conclude({ findings, left }: Report): number {
  const having = (outcome: Finding['outcome']): readonly Finding[] =>
    findings.filter((finding) => finding.outcome === outcome);
  const [differing, unseen] = [having('differs'), having('not observed in time')];
  for (const { id, outcome, sentence, page, seen } of [...differing, ...unseen]) {
    console.log(
      `\n${outcome}: ${id}\n  ${sentence}\n  seen: ${seen}\n  ${page ?? 'AWS does not document it'}`,
    );
  }
  console.log(
    `\n${having('holds').length} hold, ${differing.length} differ, ${unseen.length} not observed in time`,
  );
  if (differing.length > 0) return EXIT.differs;
  if (left.length > 0) return EXIT.left;
  return unseen.length > 0 ? EXIT.unseen : 0;
}

/** Where this goes; asking needs no permission. */
async function placeOf(): Promise<Place> {
  const sts = new STSClient({});
  const vault = new SecretsManagerClient({});
  try {
    const { Account = '' } = await sts.send(new GetCallerIdentityCommand({}));
    return { accountId: Account, region: await vault.config.region() };
  } finally {
    sts.destroy();
    vault.destroy();
  }
}

async function agreed(): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question('Go on? [y/N] ')).trim());
  } finally {
    terminal.close();
  }
}

function secondsOf(given: string | undefined, otherwise: number): number {
  return given === undefined ? otherwise : Number(given);
}
