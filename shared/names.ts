/** Names that infra and the Lambdas share: environment variables, resource names, event types, tags. */

/** What kinds of credentials there are (requirements C1 to C9). */
export const CREDENTIAL_TYPES = [
  'database',
  'llm-key',
  'vector-database-key',
  'cloud-key',
  'signing-key',
  'agent-token',
  'certificate-authority',
  'oauth-client',
  'root',
  'database-root',
] as const;
export type CredentialType = (typeof CREDENTIAL_TYPES)[number];

/** Identities: types whose upstream is Rekey itself, which publishes them in its directory (docs/identities.md). */
export const IDENTITY_TYPES: readonly CredentialType[] = [
  'signing-key',
  'agent-token',
  'certificate-authority',
];

/** Types whose functions log in to databases, from the network of those where the setting `network` names one. */
export const DATABASE_TYPES: readonly CredentialType[] = ['database', 'database-root'];

/**
 * Rekey's own administrative credentials (C9), declared under `roots`. Those of databases have functions in the databases'
 * network.
 */
export const ROOT_TYPES: readonly CredentialType[] = ['root', 'database-root'];

/** What each type has a function of its own for, with the rights and the network that only it needs. */
export const TYPED_ROLES = [
  'rotate',
  'register',
  'verify',
  'retire',
  'rollback',
  'reconcile',
  'revoke',
  'replace',
] as const;
export type TypedRole = (typeof TYPED_ROLES)[number];

/** Types with upstreams that tell how their keys were used: each has a function that asks them. */
export const METERED_TYPES = ['llm-key', 'cloud-key'] as const satisfies readonly CredentialType[];
/** What that function is for; it changes nothing at an upstream. */
export const METERED_ROLE = 'collect-usage';
/** Such a function, e.g. `collect-usage-llm-key`. */
export type UsageFunction = `${typeof METERED_ROLE}-${(typeof METERED_TYPES)[number]}`;

/** Environment variables of the functions. Infra sets exactly those that a function reads. */
export const ENV = {
  stage: 'REKEY_STAGE',
  tenant: 'REKEY_TENANT',
  account: 'REKEY_ACCOUNT',
  /** Name of the ledger table. */
  table: 'REKEY_TABLE',
  /** Name of the table with the directory of identities. */
  directory: 'REKEY_DIRECTORY',
  /** Address of the API that shows the directory to verifiers. */
  directoryUrl: 'REKEY_DIRECTORY_URL',
  /** Address by which certificates say where revocations are told, where that isn't the directory's. */
  statusUrl: 'REKEY_STATUS_URL',
  /** ARN of the key that tells which certificates are revoked. */
  statusKey: 'REKEY_STATUS_KEY',
  /** Name of Rekey's event bus. */
  bus: 'REKEY_BUS',
  /** Bucket of the audit archive. */
  archive: 'REKEY_ARCHIVE',
  /** Bucket with the revocation snapshots, read when the ledger doesn't answer. */
  snapshots: 'REKEY_SNAPSHOTS',
  /** Key that seals what acknowledgements are held against, symmetric keys of instances, and identities that come next. */
  sealingKey: 'REKEY_SEALING_KEY',
  /** Key for the secrets that Rekey creates. */
  secretsKey: 'REKEY_SECRETS_KEY',
  /** What the names of the secrets begin with that Rekey creates. */
  secretPrefix: 'REKEY_SECRET_PREFIX',
  /** The same of the secrets that it may adopt beside them, with commas between. */
  adoptPrefixes: 'REKEY_ADOPT_PREFIXES',
  /** Hosts of upstreams that may have private addresses, with commas between. */
  privateUpstreams: 'REKEY_PRIVATE_UPSTREAMS',
  /** The credential type that the function is for. */
  type: 'REKEY_TYPE',
  /** ARN of the alias of the type's rotation function. */
  rotator: 'REKEY_ROTATOR',
  /** By credential type, the ARN of the alias of the registering function: `type=arn`, with commas between. */
  registrars: 'REKEY_REGISTRARS',
  /** The same of the functions that look at an upstream for the API. */
  verifiers: 'REKEY_VERIFIERS',
  /** ARN of the alias of the function that lists what could be adopted. */
  takeInventory: 'REKEY_TAKE_INVENTORY',
  /** ARN of the alias of the function that manages subscriptions to events. */
  manageSubscriptions: 'REKEY_MANAGE_SUBSCRIPTIONS',
  /** ARN of the alias of the function that refreshes token families; absent where they aren't deployed. */
  refreshFamilies: 'REKEY_REFRESH_FAMILIES',
  /** ARN of the alias of the function that revokes certificates; absent where no authorities are deployed. */
  revokeCertificates: 'REKEY_REVOKE_CERTIFICATES',
  /** ARN of the role that delivers events to other buses and to API destinations. */
  deliveryRole: 'REKEY_DELIVERY_ROLE',
  /** ARN of the queue for events that a subscriber could not be given. */
  deadLetters: 'REKEY_DEAD_LETTERS',
  /** ARN of the alias of the function that looks at holders. */
  checkHolders: 'REKEY_CHECK_HOLDERS',
  /** ARNs of the two state machines. */
  lifecycle: 'REKEY_LIFECYCLE',
  emergency: 'REKEY_EMERGENCY',
  /** ARN of the machine that suspends what signals are held about. */
  suspension: 'REKEY_SUSPENSION',
  /** Local stage only: smallest window in seconds. The settings of AWS stages refuse it. */
  minWindow: 'REKEY_MIN_WINDOW_SECONDS',
  /** Sources of signals, as JSON (shared/domain/signals/settings.ts). */
  signals: 'REKEY_SIGNALS',
  /** What a signal may do without a person, as JSON. */
  signalPolicy: 'REKEY_SIGNAL_POLICY',
  /** Set where each read of a secret is kept as a use: the setting `uses.reads`. */
  keepReads: 'REKEY_KEEP_READS',
  /** Whether reads are held against what is usual: the setting `signals.unusual`. */
  unusual: 'REKEY_UNUSUAL',
  /** Logs of databases that are read, as JSON (shared/domain/database-logs/servers.ts). */
  databaseLogs: 'REKEY_DATABASE_LOGS',
  /** Seconds without progress after which a rotation counts as stuck. */
  stuckAfter: 'REKEY_STUCK_AFTER_SECONDS',
} as const;

/** Tags on secrets; roles are scoped by them (hard decision 15). */
export const TAG = {
  /** On every secret that Rekey rotates: the credential type. */
  type: 'rekey:type',
  /** On every secret that Rekey made: the id of its credential. */
  credential: 'rekey:credential',
  /** On the secret with a target's administrative credential: the credential type that it administers. */
  admin: 'rekey:admin',
  /** On every key that Rekey made in KMS: the set of the directory that it is of. */
  set: 'rekey:set',
  /** On every resource of a deployment, the secrets that it makes included. */
  stage: 'rekey:stage',
} as const;

/** Value of the tag `rekey:type` on the secrets of token families, and of `rekey:admin` on those of their clients. */
export const FAMILY_TYPE = 'token-family';

/** Keys of the encryption context under which small secrets are sealed; roles are bound to `purpose` (hard decision 7). */
export const SEAL = {
  purpose: 'rekey:purpose',
  /** Id of the credential, or name of the agent. */
  of: 'rekey:of',
  /** Id of the rotation, or of the session. */
  id: 'rekey:id',
} as const;

/** Attributes of the one ledger table. */
export const TABLE = {
  pk: 'pk',
  sk: 'sk',
  /** Sparse index: credentials by tenant, unfinished rotations by time, the calendar by time, audit records by month. */
  index: 'byGroup',
  indexPk: 'gpk',
  indexSk: 'gsk',
  /** When DynamoDB may delete an item; only what was seen of readers and agents carries it. */
  expires: 'expires',
} as const;

/** Function of a role for a credential type, e.g. `rotate-database`. */
export type TypedFunction = `${TypedRole}-${CredentialType}`;

/** What a function of a type is for; undefined where it serves all types. */
export function typedFunction(
  name: FunctionName,
): { readonly role: TypedRole | typeof METERED_ROLE; readonly type: CredentialType } | undefined {
  const role = ([...TYPED_ROLES, METERED_ROLE] as const).find((each) => name.startsWith(`${each}-`));
  const type = CREDENTIAL_TYPES.find((each) => name === `${role ?? ''}-${each}`);
  return role === undefined || type === undefined ? undefined : { role, type };
}

/** Names of functions: the recorder knows them by these. The code is `lambdas/<name or role>/handler.ts`. */
export const FUNCTIONS = [
  ...CREDENTIAL_TYPES.flatMap((type) => TYPED_ROLES.map((role): TypedFunction => `${role}-${type}`)),
  ...METERED_TYPES.map((type): UsageFunction => `${METERED_ROLE}-${type}`),
  'begin-rotation',
  'plan-rotations',
  'check-holders',
  'record-emergency',
  'archive-audit',
  'publish-events',
  'observe-readers',
  'observe-database-logs',
  'take-inventory',
  'manage-subscriptions',
  'control-api',
  'agent-api',
  'issue-certificates',
  'revoke-certificates',
  'serve-directory',
  'refresh-families',
  'receive-signal',
  'receive-notice',
  'observe-uses',
] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** `source` of every event on Rekey's bus. */
export const EVENT_SOURCE = 'rekey';

/** Version of the events' schema, in `detail.version`. */
export const EVENT_VERSION = 1;

/** `detail-type`s on Rekey's bus (design: "A rotation"). */
export const EVENT = {
  announced: 'Credential Rotation Announced',
  rotated: 'Credential Rotated',
  retired: 'Credential Retired',
  rolledBack: 'Credential Rotation Rolled Back',
  failed: 'Credential Rotation Failed',
  expiring: 'Credential Expiring',
  revoked: 'Credential Revoked',
  halt: 'Agents Halt',
  resume: 'Agents Resume',
  emergency: 'Emergency Ended',
  /** A signal waits for people, or they have decided on it. */
  signal: 'Signal Held',
  /** A rule of Rekey's own finds the use of a credential unusual. */
  anomaly: 'Credential Use Unusual',
} as const;

/** CloudWatch namespace of Rekey's metrics. */
export const METRICS_NAMESPACE = 'Rekey';

/** The stacks of a deployment. */
export const STACK_ROLES = [
  'state',
  'evidence',
  'network',
  'verifiers',
  'families',
  'rotation',
  'incident',
  'signals',
  'usage',
  'api',
  'agents',
  'access',
  'monitoring',
] as const;
/** What a stack holds, as its name ends. */
export type StackRole = (typeof STACK_ROLES)[number];

/** Those that only some deployments have: endpoints of their own, identities, token families, signals, uses at upstreams. */
export const OPTIONAL_STACKS: readonly StackRole[] = ['network', 'verifiers', 'families', 'signals', 'usage'];

/** Name of a stack of a stage, as CloudFormation knows it. */
export function stackName(stage: string, role: StackRole): string {
  return `rekey-${stage}-${role}`;
}

/** What the names of the roles begin with under which a stage's own functions read secrets: CloudFormation names them so. */
export function ownRoles(stage: string): string[] {
  return (['rotation', 'incident', 'api', 'families', 'usage'] as const).map(
    (role) => `${stackName(stage, role)}-`,
  );
}

/** What the name of an output begins with in which a stack emits an entry of `rekey.yaml` (ADR 017). */
export const CREDENTIAL_OUTPUT = 'RekeyCredential';

/** Names of stack outputs that the CLI and the local stack read. */
export const OUTPUT = {
  apiUrl: 'ApiUrl',
  /** Address of the API that agents call. */
  agentApi: 'AgentApi',
  /** Table of the directory of identities. */
  directory: 'DirectoryTable',
  /** Address at which verifiers find public keys. */
  directoryUrl: 'DirectoryUrl',
  table: 'LedgerTable',
  bus: 'EventBus',
  archive: 'ArchiveBucket',
  /** Key of agents' secrets: their roles need kms:Decrypt on it. */
  secretsKey: 'AgentSecretsKey',
  lifecycle: 'LifecycleMachine',
  emergency: 'EmergencyMachine',
  /** Address that sources of signals call. */
  signalsUrl: 'SignalsUrl',
  /** Topic that alarms go to. */
  alarms: 'AlarmTopic',
  /** The setting `readers`. */
  readers: 'ReadersSetting',
} as const;
