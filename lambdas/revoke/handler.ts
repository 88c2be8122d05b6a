import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { S3Snapshots } from '../../shared/adapters/s3-snapshots.ts';
import type { Revocation } from '../../shared/domain/evidence.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import type { Emergency } from '../../shared/engine/incident.ts';
import type { HeldValue, SuspendOutcome } from '../../shared/engine/suspend-held.ts';
import { ENV } from '../../shared/names.ts';
import { composeEngine, createLogger, errorFields, setting } from '../compose.ts';

const logger = createLogger();
const aws = awsCallsFromEnvironment(process.env);
const engine = {
  ...composeEngine(aws),
  snapshots: new S3Snapshots({ aws, bucket: setting(ENV.snapshots), tenant: setting(ENV.tenant) }),
};

/** A value of a signal that is held. */
type Change = HeldValue & { action: 'suspend' | 'restore' };

/**
 * The first state of an emergency: kills the credential, everything else comes after. And the suspension of what waits for people,
 * which can be undone.
 */
export async function handler(event: Emergency | Change): Promise<Revocation | { outcome: SuspendOutcome }> {
  return 'action' in event ? change(event) : revoke(event);
}

async function change(event: Change): Promise<{ outcome: SuspendOutcome }> {
  // Loaded for this alone: a revocation doesn't wait for it.
  const [{ suspendHeld, restoreHeld }, { DynamoDbSignals }] = await Promise.all([
    import('../../shared/engine/suspend-held.ts'),
    import('../../shared/adapters/dynamodb-signals.ts'),
  ]);
  const store = { aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock: engine.clock };
  const deps = { ...engine, signals: new DynamoDbSignals(store) };
  const outcome = await (event.action === 'suspend' ? suspendHeld : restoreHeld)(deps, event);
  const { action, credentialId, signalId } = event;
  logger.warn('held value changed', { action, credentialId, signalId, outcome });
  return { outcome };
}

async function revoke(event: Emergency): Promise<Revocation> {
  const fields = { credentialId: event.credentialId, incidentId: event.incidentId };
  try {
    const revocation = await revokeNow(engine, event);
    logger.warn('credential revoked', {
      ...fields,
      handles: revocation.handles.length,
      source: revocation.source,
    });
    return revocation;
  } catch (error) {
    logger.error('revocation failed', { ...fields, ...errorFields(error) });
    throw error;
  }
}
