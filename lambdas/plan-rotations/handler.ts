import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { RekeyError } from '../../shared/domain/errors.ts';
import { planDue, realignAll } from '../../shared/engine/plan.ts';
import { remindHeld } from '../../shared/engine/signals/remind.ts';
import { composeEngine, composeHeartbeats, createLogger } from '../compose.ts';
import { composeReminders } from './compose.ts';

const logger = createLogger();
const engine = composeEngine();
const heartbeats = composeHeartbeats();
const reminders = composeReminders();

/** Kept for the last credential of a run and its answer. */
const RESERVE_MS = 15_000;

/** Four starts a second at most, well under the quotas of Step Functions and Secrets Manager. */
const PACE = { maxStarts: 100, paceMs: 250, pause: sleep };

/** By schedule: starts what is due and reminds people of what waits for them, or holds the calendar against the heads. What failed fails the run, which pages. */
export async function handler(event: { action?: 'realign' }, context: Context): Promise<object> {
  const until = Date.now() + context.getRemainingTimeInMillis() - RESERVE_MS;
  if (event.action === 'realign') {
    const answer = await realignAll(engine, until);
    logger.info('calendar realigned', answer);
    if (!answer.complete) throw failed('the calendar was not held against every credential in time');
    return answer;
  }
  const answer = await planDue(engine, { ...PACE, until });
  logger.info('planned', { ...answer });
  const reminded = await remindHeld(reminders);
  if (reminded.length > 0) logger.info('signals still held', { signals: reminded });
  if (answer.failed.length > 0) throw failed(`${answer.failed.length} credentials could not be planned`);
  await heartbeats.beat('plan-rotations');
  return answer;
}

function failed(message: string): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', message, { remedy: 'the log of plan-rotations names them' });
}
