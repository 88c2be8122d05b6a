import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { EventBridgePublisher } from '../../shared/adapters/eventbridge-publisher.ts';
import { S3Snapshots } from '../../shared/adapters/s3-snapshots.ts';
import type { Revocation } from '../../shared/domain/evidence.ts';
import * as agents from '../../shared/engine/incident-agents.ts';
import * as outcome from '../../shared/engine/incident-outcome.ts';
import type { Emergency } from '../../shared/engine/incident.ts';
import { locate } from '../../shared/engine/locate.ts';
import { reconcileSpool, spoolRevocation } from '../../shared/engine/spool.ts';
import { reportUnmanaged } from '../../shared/engine/unmanaged.ts';
import { ENV, EVENT } from '../../shared/names.ts';
import { revocationsByHand } from '../../shared/providers/by-hand.ts';
import { composeEngine, createLogger, home, setting } from '../compose.ts';

type Event =
  | (Emergency & { action: 'find-type' })
  | (Emergency & { action: 'record'; revocation: Revocation })
  | (Emergency & { action: 'spool'; revocation: Revocation })
  | (Emergency & { action: 'halt'; revocation?: Revocation })
  | (Emergency & { action: 'resume' | 'superseded' | 'unmanaged' | 'await-operator' })
  | (Emergency & { action: 'revocation-failed'; cause: string })
  | (Emergency & { action: 'replacement-failed'; step: string; cause: string })
  | { action: 'reconcile' }
  | { action: 'notify'; incidentId: string; reason: string; actor: string; results: unknown };

const logger = createLogger();
const aws = awsCallsFromEnvironment(process.env);
const snapshots = new S3Snapshots({ aws, bucket: setting(ENV.snapshots), tenant: setting(ENV.tenant) });
const engine = {
  ...composeEngine(aws),
  events: new EventBridgePublisher({ aws, bus: setting(ENV.bus), home: home() }),
  snapshots,
  spool: snapshots,
  revocationsByHand,
};

/** What an emergency tells: the ledger, the agents, the incident team. */
export async function handler(
  event: Event,
): Promise<{ type: string } | { status: string } | { byHand: string } | void> {
  const { action } = event;
  logger.info('emergency goes on', {
    action,
    ...('incidentId' in event ? { incidentId: event.incidentId } : {}),
  });
  switch (event.action) {
    case 'find-type': {
      const { credential } = await locate(engine, event.credentialId);
      return { type: credential.type };
    }
    case 'record':
      return outcome.recordRevocation(engine, event, event.revocation);
    case 'spool':
      return spoolRevocation(engine, event, event.revocation);
    case 'reconcile': {
      const answers = await reconcileSpool(engine);
      logger.info('reconciled the spool', { answers });
      return;
    }
    case 'halt':
      return agents.halt(engine, event, event.revocation);
    case 'resume':
      return agents.resume(engine, event);
    case 'superseded':
      return outcome.superseded(engine, event);
    case 'revocation-failed':
      return outcome.recordFailedRevocation(engine, event, event.cause);
    case 'await-operator':
      return outcome.recordAwaitedOperator(engine, event);
    case 'unmanaged':
      return reportUnmanaged(engine, event);
    case 'replacement-failed':
      return outcome.recordFailedReplacement(engine, event, event);
    case 'notify': {
      const { incidentId, reason, results } = event;
      return engine.events.publish(EVENT.emergency, { incidentId, reason, results });
    }
  }
}
