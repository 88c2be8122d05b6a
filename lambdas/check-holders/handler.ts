import { AwsHolderWatch } from '../../shared/adapters/aws-holder-watch.ts';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import type { Check } from '../../shared/domain/diagnosis.ts';
import { diagnoseHolders } from '../../shared/engine/diagnose-holders.ts';
import { checkHolders, type HoldersAnswer } from '../../shared/engine/holders.ts';
import { ENV } from '../../shared/names.ts';
import { composeEngine, createLogger, setting } from '../compose.ts';

type Event =
  | { readonly action?: undefined; readonly credentialId: string; readonly rotationId: string }
  | { readonly action: 'diagnose'; readonly credentialId: string };

const logger = createLogger();
const aws = awsCallsFromEnvironment(process.env);
const owner = { stage: setting(ENV.stage), account: setting(ENV.account), region: setting('AWS_REGION') };
const engine = { ...composeEngine(aws), watch: new AwsHolderWatch(aws, owner) };

/** Looks at services and functions that hold a credential; redeploys services that still run on the old value. */
export async function handler(event: Event): Promise<HoldersAnswer | { checks: readonly Check[] }> {
  if (event.action === 'diagnose') return { checks: await diagnoseHolders(engine, event.credentialId) };
  const answer = await checkHolders(engine, event);
  logger.info('holders looked at', { ...event, ...answer });
  return answer;
}
