import type { CredentialDiagnosis, DeploymentDiagnosis } from '../../../shared/api/messages.ts';
import { adminCheck } from '../../../shared/domain/diagnose-access.ts';
import { heartbeatCheck, subscriptionsCheck } from '../../../shared/domain/diagnose-deployment.ts';
import { keylessChecks, type Survey } from '../../../shared/domain/coverage.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import {
  bad,
  evidenceCheck,
  holdersCheck,
  ok,
  passing,
  rotationChecks,
  statusCheck,
  type Check,
  type Seen,
} from '../../../shared/domain/diagnosis.ts';
import { needsLook } from '../../../shared/domain/holders.ts';
import { endingCheck, outageCheck, outageOf } from '../../../shared/domain/outage.ts';
import type { FunctionName } from '../../../shared/names.ts';
import { REKEY_VERSION } from '../../../shared/version.ts';
import type { DiagnosisServices } from '../diagnosis-services.ts';
import { active, credentialOf } from '../lookup.ts';
import type { Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

/** Rules that call functions by schedule, and the entry of the runbook that says what to do where one doesn't. */
const PLANNED = 'PlanSchedule of the stack rotation (docs/runbook.md, "Planner failed")';
const RECONCILED = 'ReconcileSchedule of the stack rotation (docs/runbook.md, "Planner failed")';
const LISTED = 'ListSchedule of the stack verifiers (docs/runbook.md, "Lists not signed")';

/** The deployment, as far as its own functions can see it. */
export async function diagnoseDeployment(
  _call: Call,
  { diagnosis, clock }: ControlServices,
): Promise<Done<DeploymentDiagnosis>> {
  const reconcilers = diagnosis.types.map((type) => `reconcile-${type}` as const);
  const issues = diagnosis.types.includes('certificate-authority');
  const [ledger, planner, reconciled, lifecycle, emergency, told, lists] = await Promise.all([
    diagnosis.ledger(),
    diagnosis.heartbeat('plan-rotations'),
    Promise.all(reconcilers.map(async (name) => diagnosis.heartbeat(name))),
    diagnosis.machine('lifecycle'),
    diagnosis.machine('emergency'),
    diagnosis.subscriptions(),
    issues ? diagnosis.heartbeat('revoke-certificates') : undefined,
  ]);
  const beat = (
    name: FunctionName,
    schedule: string,
    last: Seen<string | undefined> = { trouble: 'unexpected' },
  ): Check =>
    'value' in last
      ? heartbeatCheck(name, schedule, last.value, clock())
      : unseen('deployment', name, last, 'DynamoDB');
  return {
    status: 200,
    body: {
      version: REKEY_VERSION,
      checks: [
        'value' in ledger
          ? ok('deployment', 'ledger', 'readable')
          : unseen('deployment', 'ledger', ledger, 'DynamoDB'),
        beat('plan-rotations', PLANNED, planner),
        ...reconcilers.map((name, at) => beat(name, RECONCILED, reconciled[at])),
        ...(lists === undefined ? [] : [beat('revoke-certificates', LISTED, lists)]),
        machineCheck('lifecycle machine', 'rotation', lifecycle),
        machineCheck('emergency machine', 'incident', emergency),
        'value' in told
          ? subscriptionsCheck(told.value.subscriptions)
          : uncalled('deployment', 'subscriptions', 'manage-subscriptions'),
      ],
    },
  };
}

/** One credential, as the functions see it that work with it. */
export async function diagnoseCredential(
  { params: [name = ''] }: Call,
  { ledger, diagnosis, clock }: ControlServices,
): Promise<Done<CredentialDiagnosis>> {
  const credential = await credentialOf(ledger, name);
  const [rotation, look, holders, copy] = await Promise.all([
    active(ledger, credential),
    diagnosis.look(credential.id),
    credential.holders.some(needsLook) ? diagnosis.holders(credential.id) : { value: [] },
    diagnosis.snapshot(credential.id),
  ]);
  const outage = outageOf(credential, rotation, clock());
  return {
    status: 200,
    body: {
      credential: credential.name,
      checks: [
        statusCheck(credential),
        ...keylessChecks(credential),
        ...('value' in look
          ? [...look.value.checks, ...(await administrator(credential, look.value.admin, diagnosis))]
          : [uncalled('credential', 'functions', 'register-database')]),
        ...rotationChecks(credential, rotation, clock()),
        outageCheck(credential, outage, clock()),
        ...endingCheck(credential, clock()),
        holdersCheck(credential),
        ...('value' in holders ? holders.value : [uncalled('holders', 'workloads', 'check-holders')]),
        evidenceCheck(credential, copy, clock()),
      ],
      outage,
      held: heldBy(credential),
      ...('value' in look && look.value.survey !== undefined ? { survey: surveyOf(look.value.survey) } : {}),
    },
  };
}

function heldBy({ current, live }: Credential): string[] {
  return [...new Set([...(current === undefined ? [] : [current.handle]), ...live].map(({ id }) => id))];
}

/** As the API answers it. */
function surveyOf({ owner, credentials }: Survey): CredentialDiagnosis['survey'] {
  return { owner, credentials: [...credentials] };
}

/** A denial is looked up in the account's list; anything else speaks for itself. */
async function administrator(
  credential: Credential,
  read: Seen<true> | undefined,
  diagnosis: DiagnosisServices,
): Promise<Check[]> {
  if (read === undefined) return [];
  const { adminSecret } = credential;
  const asks = 'trouble' in read && adminSecret !== undefined;
  const listed = asks ? await diagnosis.listed(adminSecret) : ({ trouble: 'unexpected' } as const);
  return [adminCheck(credential, read, listed)];
}

function machineCheck(name: string, stack: string, status: Seen<string>): Check {
  const redeploy = `deploy the stack ${stack} again`;
  if ('value' in status) {
    return status.value === 'ACTIVE'
      ? ok('deployment', name, 'active')
      : bad('fail', 'deployment', name, `it is ${status.value}`, redeploy);
  }
  return status.trouble === 'absent'
    ? bad('fail', 'deployment', name, 'it is gone', redeploy)
    : unseen('deployment', name, status, 'Step Functions');
}

/** A denial here is the role's of `control-api`, which the deployment makes. */
function unseen(
  area: Check['area'],
  name: string,
  { trouble }: Extract<Seen<unknown>, { trouble: unknown }>,
  service: string,
): Check {
  const who = 'control-api';
  if (trouble === 'throttled' || trouble === 'no-answer' || trouble === 'unexpected')
    return passing(area, name, trouble, { who, service });
  const detail = trouble === 'absent' ? `${service} has none` : `${service} refuses ${who}`;
  return bad(
    'fail',
    area,
    name,
    detail,
    'deploy again; where that changes nothing, look for a deny in the policies of the organisation and of the key',
  );
}

function uncalled(area: Check['area'], name: string, who: string): Check {
  return bad(
    'not-checked',
    area,
    name,
    `${who} gave no answer that this version knows`,
    `deploy every stack in the same version; else the log of ${who} has the error`,
  );
}
