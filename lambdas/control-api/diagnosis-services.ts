import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbHeartbeats } from '../../shared/adapters/dynamodb-heartbeats.ts';
import { S3Snapshots } from '../../shared/adapters/s3-snapshots.ts';
import { machineStatus } from '../../shared/adapters/step-functions-workflow.ts';
import { troubleOf } from '../../shared/adapters/trouble.ts';
import type { InventoryPage } from '../../shared/adapters/secrets-inventory.ts';
import type { Listed } from '../../shared/domain/diagnose-access.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { Check, Seen } from '../../shared/domain/diagnosis.ts';
import type { CredentialLook } from '../../shared/engine/diagnose.ts';
import type { SubscriptionPage } from '../../shared/engine/subscriptions.ts';
import { CREDENTIAL_TYPES, ENV, type CredentialType, type FunctionName } from '../../shared/names.ts';
import { byTypeSetting, setting } from '../compose.ts';

/** Where a diagnosis looks. What could not be looked at is an answer as well; nothing here changes anything. */
export interface DiagnosisServices {
  ledger(): Promise<Seen<true>>;
  /** Credential types that this deployment has functions for. */
  readonly types: readonly CredentialType[];
  /** When a function that runs by schedule last completed a run. */
  heartbeat(name: FunctionName): Promise<Seen<string | undefined>>;
  /** Status of a state machine, as Step Functions names it. */
  machine(which: 'lifecycle' | 'emergency'): Promise<Seen<string>>;
  /** The first page of who is subscribed to events. */
  subscriptions(): Promise<Seen<SubscriptionPage>>;
  /** What the functions that work with a credential see. */
  look(credentialId: string): Promise<Seen<CredentialLook>>;
  /** What the function sees that looks at holders. */
  holders(credentialId: string): Promise<Seen<readonly Check[]>>;
  /** A secret in the account's list: roles can't tell a missing one from an untagged one. */
  listed(secret: string): Promise<Listed>;
  snapshot(credentialId: string): Promise<Seen<Credential | undefined>>;
}

/** How the other functions are called: as for every route, their refusals are raised. */
type Ask = <T extends object>(functionArn: string, request: object) => Promise<T>;

/** The services from the environment. */
export function createDiagnosisServices(
  aws: AwsCalls,
  {
    ask,
    list,
    registrarOf,
  }: { ask: Ask; list: () => Promise<unknown>; registrarOf: (nameOrId: string) => Promise<string> },
): DiagnosisServices {
  const tenant = setting(ENV.tenant);
  const heartbeats = new DynamoDbHeartbeats({ aws, table: setting(ENV.table), tenant, clock: Date.now });
  const snapshots = new S3Snapshots({ aws, bucket: setting(ENV.snapshots), tenant });
  const machines = { lifecycle: setting(ENV.lifecycle), emergency: setting(ENV.emergency) };
  const deployed = byTypeSetting(ENV.registrars);
  return {
    types: CREDENTIAL_TYPES.filter((type) => deployed.has(type)),
    ledger: () =>
      seen(async () => {
        await list();
        return true as const;
      }),
    heartbeat: (name) => seen(() => heartbeats.last(name)),
    machine: (which) => seen(() => machineStatus(aws, machines[which])),
    subscriptions: () =>
      seen(() => ask<SubscriptionPage>(setting(ENV.manageSubscriptions), { action: 'list' })),
    look: (credentialId) =>
      seen(async () =>
        ask<CredentialLook>(await registrarOf(credentialId), { action: 'diagnose', credentialId }),
      ),
    holders: (credentialId) =>
      seen(async () => {
        const answer = await ask<{ checks: readonly Check[] }>(setting(ENV.checkHolders), {
          action: 'diagnose',
          credentialId,
        });
        return answer.checks;
      }),
    listed: (secret) => seen(async () => find(await listPage(ask, secret), secret)),
    snapshot: (credentialId) => seen(() => snapshots.read(credentialId)),
  };
}

/** By name or ARN: the list is asked for names, and a name in an ARN ends before the service's own six characters. */
async function listPage(ask: Ask, secret: string): Promise<InventoryPage> {
  const prefix = /:secret:(.+)-[^-]{6}$/.exec(secret)?.[1] ?? secret;
  return ask<InventoryPage>(setting(ENV.takeInventory), { prefix });
}

function find({ secrets }: InventoryPage, secret: string) {
  const found = secrets.find(({ name, arn }) => name === secret || arn === secret);
  if (found === undefined) return undefined;
  const { tags, kmsKey } = found;
  return { tags, ...(kmsKey === undefined ? {} : { kmsKey }) };
}

async function seen<T>(look: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { value: await look() };
  } catch (error) {
    return { trouble: troubleOf(error) };
  }
}
