import { awsHealthSignals } from '../../shared/domain/signals/aws-health.ts';
import { weighSuspicions } from '../../shared/engine/anomalies/weigh.ts';
import { createLogger } from '../compose.ts';
import { takeEach } from './answer.ts';
import { createNoticeServices } from './compose.ts';

const logger = createLogger();
const services = createNoticeServices();

/**
 * An event of AWS Health, by EventBridge; or, by schedule and empty, weighs what was found unusual. What an event asks for that
 * could not be done fails: it is given again, and waits for a person after that. Alarms count `signal over budget` and
 * `signal not identified` (infra/stacks/monitoring.ts).
 */
export async function handler(event: { source?: string }): Promise<void> {
  if (event.source === undefined) return weigh();
  const { signals: deps, policy } = services;
  const signals = awsHealthSignals(event, Date.now());
  // AWS names something that is no key of IAM: a person looks there.
  if (signals.length === 0) logger.warn('signal not identified', { source: 'aws-health' });
  const { outcomes, error } = await takeEach({ deps, policy }, signals);
  for (const { act, credentials, id, signal } of outcomes) {
    const about = { source: signal.source, act, credentials, id, handle: signal.handle };
    if (act === 'over-budget') logger.warn('signal over budget', about);
    else if (act === 'look') logger.warn('signal not identified', about);
    else logger.info('signal received', about);
  }
  if (error !== undefined) throw error;
}

async function weigh(): Promise<void> {
  const weighed = await weighSuspicions(services);
  logger.info('suspicions weighed', { ...weighed });
  if (weighed.overBudget > 0) logger.warn('signal over budget', { source: 'anomaly', ...weighed });
}
