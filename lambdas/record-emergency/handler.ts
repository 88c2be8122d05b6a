import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { EventBridgePublisher } from '../../shared/adapters/eventbridge-publisher.ts';
import { S3Snapshots } from '../../shared/adapters/s3-snapshots.ts';
import type { Revocation } from '../../shared/engine/emergency.ts';
import * as incident from '../../shared/engine/incident.ts';
import { ENV, EVENT } from '../../shared/names.ts';
import { composeEngine, createLogger, home, setting } from '../compose.ts';

type Event =
  | (incident.Emergency & { action: 'record'; revocation: Revocation })
  | (incident.Emergency & { action: 'halt'; revocation?: Revocation })
  | (incident.Emergency & { action: 'resume' | 'superseded' })
  | (incident.Emergency & { action: 'revocation-failed'; cause: string })
  | (incident.Emergency & { action: 'replacement-failed'; step: string; cause: string })
  | { action: 'notify'; incidentId: string; reason: string; actor: string; results: unknown };

const logger = createLogger();
const aws = awsCallsFromEnvironment(process.env);
const engine = {
  ...composeEngine(aws),
  events: new EventBridgePublisher({ aws, bus: setting(ENV.bus), home: home() }),
  snapshots: new S3Snapshots({ aws, bucket: setting(ENV.snapshots), tenant: setting(ENV.tenant) }),
};

/** What an emergency tells: the ledger, the agents, the incident team. */
export async function handler(event: Event): Promise<{ status: string } | void> {
  logger.info('emergency goes on', { action: event.action, incidentId: event.incidentId });
  switch (event.action) {
    case 'record':
      return incident.recordRevocation(engine, event, event.revocation);
    case 'halt':
      return incident.halt(engine, event, event.revocation);
    case 'resume':
      return incident.resume(engine, event);
    case 'superseded':
      return incident.superseded(engine, event);
    case 'revocation-failed':
      return incident.recordFailedRevocation(engine, event, event.cause);
    case 'replacement-failed':
      return incident.recordFailedReplacement(engine, event, event);
    case 'notify': {
      const { incidentId, reason, results } = event;
      return engine.events.publish(EVENT.emergency, { incidentId, reason, results });
    }
  }
}
