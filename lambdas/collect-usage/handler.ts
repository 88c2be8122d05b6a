import type { Context } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbUpstreamUses } from '../../shared/adapters/dynamodb-upstream-uses.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { collectUsage, untold } from '../../shared/engine/collect-usage.ts';
import { ENV } from '../../shared/names.ts';
import { composeEngine, createLogger, setting, typeSetting } from '../compose.ts';

const logger = createLogger();
const type = typeSetting();
const aws = awsCallsFromEnvironment(process.env);
const store = { aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock: Date.now };
const deps = {
  ...composeEngine(aws),
  upstreamUses: new DynamoDbUpstreamUses(store),
  random: Math.random,
};

/** What one reading may take at the longest, with all that it waits for. */
const RESERVE_MS = 240_000;

/**
 * By the hour, and when an emergency has ended: asks the upstreams of a type how its keys were used. Nothing in the event counts.
 * @throws RekeyError ERR_UNAVAILABLE once all were asked, where a time is about to be missing: its alarm tells a person
 */
export async function handler(_event: unknown, context: Context): Promise<object> {
  const until = Date.now() + context.getRemainingTimeInMillis() - RESERVE_MS;
  const answers = await collectUsage(deps, type, until);
  const stopped = answers.filter((each) => each.stopped !== undefined);
  const uses = answers.reduce((sum, each) => sum + each.uses, 0);
  logger.info('usage collected', { asked: answers.length, uses, stopped: stopped.length });
  if (stopped.length > 0) logger.warn('usage not told', { stopped });
  const late = untold(answers, Date.now());
  if (late.length === 0) return { asked: answers.length, uses };
  throw new RekeyError(
    'ERR_UNAVAILABLE',
    `for a day nothing was told of the uses of ${late.length} credentials`,
    { remedy: 'look into the log of this function, which names each with a code (docs/runbook.md)' },
  );
}
