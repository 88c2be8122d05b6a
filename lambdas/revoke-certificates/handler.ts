import type { Context } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbDirectory } from '../../shared/adapters/dynamodb-directory.ts';
import { DynamoDbLeaves } from '../../shared/adapters/dynamodb-leaves.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbRevocations } from '../../shared/adapters/dynamodb-revocations.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { signLists } from '../../shared/engine/certificates/lists.ts';
import type { CertifyingDeps } from '../../shared/engine/certificates/responders.ts';
import {
  revokeCertificate,
  type RevocationWish,
  type RevokingDeps,
} from '../../shared/engine/certificates/revoke.ts';
import { kmsSigner } from '../../shared/http/kms-signer.ts';
import { privateAuthorityOf } from '../../shared/http/private-ca.ts';
import { ENV } from '../../shared/names.ts';
import { composeHeartbeats, createLogger, errorFields, setting } from '../compose.ts';

const logger = createLogger();
const deps = createDeps();
const heartbeats = composeHeartbeats();

/** What `control-api` asks for; without an action it is the schedule. */
type Request = { readonly action?: undefined } | ({ readonly action: 'revoke' } & RevocationWish);

/** Kept for the answer of a run. */
const RESERVE_MS = 10_000;

/** By schedule: signs the lists that are due; what failed fails the run, which pages. For a person: revokes one certificate. */
export async function handler(request: Request, context: Context): Promise<object> {
  if (request.action === undefined) return sign(Date.now() + context.getRemainingTimeInMillis() - RESERVE_MS);
  const { name, serial } = request;
  try {
    const done = await revokeCertificate(deps, request);
    logger.info('certificate revoked', { name, serial, listed: done.listed });
    return done;
  } catch (error) {
    logger.error('request refused', { name, serial, ...errorFields(error) });
    if (error instanceof RekeyError) return { error: error.toJSON() };
    throw error;
  }
}

async function sign(until: number): Promise<object> {
  const done = await signLists(deps, until);
  logger.info('lists signed', { ...done });
  if (done.failed.length > 0 || !done.complete) {
    throw new RekeyError('ERR_UNAVAILABLE', 'some lists of revoked certificates could not be signed', {
      remedy: 'the log of revoke-certificates names them',
    });
  }
  await heartbeats.beat('revoke-certificates');
  return done;
}

function createDeps(): RevokingDeps & CertifyingDeps {
  const aws = awsCallsFromEnvironment(process.env);
  const clock = Date.now;
  const own = { aws, tenant: setting(ENV.tenant), clock };
  const beside = { ...own, table: setting(ENV.directory) };
  return {
    ledger: new DynamoDbLedger({ ...own, table: setting(ENV.table) }),
    directory: new DynamoDbDirectory(beside),
    leaves: new DynamoDbLeaves(beside),
    revocations: new DynamoDbRevocations(beside),
    signer: (keyArn) => kmsSigner(aws, keyArn),
    privateAuthority: (arn) => privateAuthorityOf(aws, arn),
    statusKey: kmsSigner(aws, setting(ENV.statusKey)),
    clock,
  };
}
