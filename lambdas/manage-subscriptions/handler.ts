import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { EventBridgeRules } from '../../shared/adapters/eventbridge-rules.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { SubscriptionDeps } from '../../shared/engine/subscriptions.ts';
import { ENV } from '../../shared/names.ts';
import { createLogger, errorFields, setting } from '../compose.ts';
import { answer, type Request } from './requests.ts';

const logger = createLogger();
const bus = setting(ENV.bus);
const deps: SubscriptionDeps = {
  rules: new EventBridgeRules({ aws: awsCallsFromEnvironment(process.env), bus }),
  here: {
    account: setting(ENV.account),
    region: setting('AWS_REGION'),
    bus,
    deliveryRole: setting(ENV.deliveryRole),
    deadLetters: setting(ENV.deadLetters),
  },
  clock: Date.now,
};

/** Makes, lists and ends the rules that are subscriptions. Its log says who asked for what, beside CloudTrail. */
export async function handler(request: Request): Promise<object> {
  try {
    const done = await answer(deps, request);
    if (request.action !== 'list') logger.info('subscription asked for', { ...request, ...done });
    return done;
  } catch (error) {
    logger.error('subscription failed', { ...request, ...errorFields(error) });
    if (error instanceof RekeyError) return { error: error.toJSON() };
    throw error;
  }
}
