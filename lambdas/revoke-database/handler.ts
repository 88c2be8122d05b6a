import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { S3Snapshots } from '../../shared/adapters/s3-snapshots.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Deactivation } from '../../shared/domain/evidence.ts';
import { revokeNow, type Revocation } from '../../shared/engine/emergency.ts';
import type { Emergency } from '../../shared/engine/incident.ts';
import { deactivationOf, type HandleRef } from '../../shared/engine/leak.ts';
import { ENV } from '../../shared/names.ts';
import { composeEngine, createLogger, errorFields, setting } from '../compose.ts';

const logger = createLogger();
const aws = awsCallsFromEnvironment(process.env);
const engine = {
  ...composeEngine(aws),
  snapshots: new S3Snapshots({ aws, bucket: setting(ENV.snapshots), tenant: setting(ENV.tenant) }),
};

/**
 * The first state of an emergency: kills the credential, everything else comes after. With `action: 'look'` it only says
 * what the database shows of a handle that was ended before.
 */
export async function handler(
  event: Emergency | ({ action: 'look' } & HandleRef),
): Promise<Revocation | Deactivation | { error: object }> {
  return 'action' in event ? look(event) : revoke(event);
}

async function revoke(emergency: Emergency): Promise<Revocation> {
  const fields = { credentialId: emergency.credentialId, incidentId: emergency.incidentId };
  try {
    const revocation = await revokeNow(engine, emergency);
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

async function look({ credentialId, handle }: HandleRef): Promise<Deactivation | { error: object }> {
  const fields = { credentialId, handle: handle.id, generation: handle.generation };
  try {
    const deactivation = await deactivationOf(engine, { credentialId, handle });
    logger.info('ended handle looked at', { ...fields, confirmed: deactivation.confirmed });
    return deactivation;
  } catch (error) {
    logger.error('look failed', { ...fields, ...errorFields(error) });
    if (error instanceof RekeyError) return { error: error.toJSON() };
    throw error;
  }
}
