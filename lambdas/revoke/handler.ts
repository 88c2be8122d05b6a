import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { S3Snapshots } from '../../shared/adapters/s3-snapshots.ts';
import type { Revocation } from '../../shared/domain/evidence.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import type { Emergency } from '../../shared/engine/incident.ts';
import { ENV } from '../../shared/names.ts';
import { composeEngine, createLogger, errorFields, setting } from '../compose.ts';

const logger = createLogger();
const aws = awsCallsFromEnvironment(process.env);
const engine = {
  ...composeEngine(aws),
  snapshots: new S3Snapshots({ aws, bucket: setting(ENV.snapshots), tenant: setting(ENV.tenant) }),
};

/** The first state of an emergency: kills the credential, everything else comes after. */
export async function handler(event: Emergency): Promise<Revocation> {
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
