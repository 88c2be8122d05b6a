import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { troubleOf } from '../../shared/adapters/trouble.ts';
import { diagnose, type CredentialLook } from '../../shared/engine/diagnose.ts';
import { ENV } from '../../shared/names.ts';
import { composeEngine, optionalSetting, setting } from '../compose.ts';

/** Short, so that what answers nobody is told before the API's own time is up. */
const AWS_LIMITS = { timeoutMs: 2000, attempts: 2 };
const STEP_LIMIT_MS = 8000;

/** Looks at a credential with this function's rights and network, which are those of the functions that rotate it. */
export function diagnoseHere(credentialId: string): Promise<CredentialLook> {
  const secretsKey = optionalSetting(ENV.secretsKey);
  const deps = {
    ...composeEngine(awsCallsFromEnvironment(process.env, AWS_LIMITS)),
    troubleOf,
    stepLimitMs: STEP_LIMIT_MS,
  };
  const expected = {
    stage: setting(ENV.stage),
    rotationFunction: setting(ENV.rotator),
    ...(secretsKey === undefined ? {} : { secretsKey }),
  };
  return diagnose(deps, expected, credentialId);
}
