import { Aws, Duration } from 'aws-cdk-lib';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import {
  DATABASE_TYPES,
  IDENTITY_TYPES,
  ROOT_TYPES,
  type CredentialType,
  type FunctionName,
  type TypedRole,
} from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import type {
  HandlerEnvironment,
  HandlerFunction,
  HandlerFunctionProps,
} from '../constructs/handler-function.ts';
import * as may from '../permissions.ts';
import type { Grant } from '../permissions.ts';
import type { StateStack } from './state.ts';
import type { VerifiersStack } from './verifiers.ts';

/** How a function of a stack is made; what is common to all the stack adds. */
export type Call = Pick<HandlerFunctionProps, 'description' | 'timeout' | 'grants'> &
  Partial<HandlerFunctionProps>;
export type MakeFunction = (name: FunctionName, call: Call) => HandlerFunction;

/** What leads the rotations of one credential type: nothing here reaches another type's secrets or administrators. */
export interface RotationFunctions {
  readonly rotate: HandlerFunction;
  readonly register: HandlerFunction;
  /** Also looks, for the API, whether what was ended is dead. */
  readonly verify: HandlerFunction;
  readonly retire: HandlerFunction;
  readonly rollback: HandlerFunction;
  readonly reconcile: HandlerFunction;
}

export interface RotationFunctionsProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly verifiers: VerifiersStack | undefined;
  readonly lifecycleArn: string;
  readonly deadLetters: Queue;
  readonly make: MakeFunction;
}

/** Makes the functions of a type. */
export function rotationFunctions(
  type: CredentialType,
  { settings, state, verifiers, lifecycleArn, deadLetters, make }: RotationFunctionsProps,
): RotationFunctions {
  const { ledger } = state;
  const secretsKey = state.secretsKey.keyArn;
  const secrets = may.secretsOf(type, settings);
  const acts = (role: TypedRole): readonly Grant[] =>
    upstreamGrants(type, role, { settings, state, verifiers });
  const readSecrets = may.readAgentSecrets(secrets, secretsKey);
  const answers = may.answer(lifecycleArn);
  const starts = may.start(lifecycleArn);
  const agents = may.askAgents(ledger);
  const seals = may.sealAcknowledgements(ledger);
  const sealingKey = state.key.keyArn;
  const upstream = upstreamOf(type, { settings, state, verifiers });
  const { minWindowSeconds } = settings.timing;

  const rotate = make(`rotate-${type}`, {
    ...upstream,
    description: `The four steps of Secrets Manager for ${NOUN[type]}s`,
    timeout: Duration.seconds(120),
    reservedConcurrency: settings.reservedConcurrency.rotate,
    environment: { ...upstream.environment, lifecycle: lifecycleArn, sealingKey },
    grants: [
      ...may.writeLedger(ledger),
      ...agents,
      ...seals,
      ...readSecrets,
      ...may.putAgentSecrets(secrets, secretsKey),
      ...may.labelAgentSecrets(secrets),
      ...acts('rotate'),
      ...starts,
      ...answers,
    ],
  });
  rotate.live.addPermission('SecretsManager', {
    principal: new ServicePrincipal('secretsmanager.amazonaws.com'),
    sourceAccount: Aws.ACCOUNT_ID,
  });
  const rotator = rotate.live.functionArn;
  const register = make(`register-${type}`, {
    ...upstream,
    description: `Registers a ${NOUN[type]} or brings it in line with its declaration`,
    timeout: Duration.seconds(120),
    environment: {
      ...upstream.environment,
      stage: settings.stage,
      secretPrefix: settings.secretPrefix,
      adoptPrefixes: settings.adoptPrefixes.join(','),
      account: Aws.ACCOUNT_ID,
      secretsKey,
      rotator,
      ...(minWindowSeconds === undefined ? {} : { minWindow: String(minWindowSeconds) }),
    },
    grants: [
      ...may.writeLedger(ledger),
      ...may.releaseLedger(ledger),
      // An administrative secret is its owner's: none is made.
      ...(ROOT_TYPES.includes(type) ? [] : may.createAgentSecrets(secrets, secretsKey)),
      ...may.adoptAgentSecrets(secrets),
      ...may.letGoOfAgentSecrets(secrets),
      ...readSecrets,
      ...may.configureRotation(secrets, rotator),
      ...acts('register'),
    ],
  });
  const verify = make(`verify-${type}`, {
    ...upstream,
    description: `Decides whether the window of a ${NOUN[type]} may close`,
    timeout: Duration.seconds(60),
    grants: [...may.writeLedger(ledger), ...agents, ...acts('verify'), ...answers],
  });
  const retire = make(`retire-${type}`, {
    ...upstream,
    description: `Suspends, then revokes the ${NOUN[type]} that a rotation ends`,
    timeout: Duration.seconds(120),
    grants: [...may.writeLedger(ledger), ...agents, ...acts('retire')],
  });
  const rollback = make(`rollback-${type}`, {
    ...upstream,
    description: `Leads agents back to the old ${NOUN[type]}`,
    timeout: Duration.seconds(120),
    environment: { ...upstream.environment, sealingKey },
    grants: [
      ...may.writeLedger(ledger),
      ...seals,
      ...readSecrets,
      ...may.labelAgentSecrets(secrets),
      ...acts('rollback'),
    ],
  });
  const reconcile = make(`reconcile-${type}`, {
    ...upstream,
    description: `Finishes or undoes what a rotation of a ${NOUN[type]} has left behind`,
    timeout: Duration.seconds(300),
    deadLetters,
    environment: { ...upstream.environment, type, lifecycle: lifecycleArn, sealingKey },
    grants: [
      ...may.writeLedger(ledger),
      ...seals,
      ...may.listLedger(ledger),
      ...readSecrets,
      ...may.labelAgentSecrets(secrets),
      ...acts('reconcile'),
      ...starts,
      ...answers,
    ],
  });
  return { rotate, register, verify, retire, rollback, reconcile };
}

/** What a credential of a type is called in descriptions. */
export const NOUN: Readonly<Record<CredentialType, string>> = {
  database: 'database credential',
  'llm-key': 'LLM key',
  'vector-database-key': 'vector database key',
  'cloud-key': 'cloud key',
  'signing-key': 'signing key',
  'agent-token': 'agent token',
  'certificate-authority': 'certificate authority',
  'oauth-client': 'key of an OAuth client',
  root: 'root credential',
  'database-root': 'root credential of a database',
};

/** What a function of a type needs to act at its upstreams: an administrative login, and rights of its own where AWS is one. */
export function upstreamGrants(
  type: CredentialType,
  role: TypedRole,
  { settings, state, verifiers }: Pick<RotationFunctionsProps, 'settings' | 'state' | 'verifiers'>,
): readonly Grant[] {
  const { stage, adminSecretKeyArns } = settings;
  if (type === 'signing-key') {
    return [
      ...may.actOnIdentities(state.directory, role, 'jwks'),
      ...may.actOnKeysThatSign(type, role, stage),
    ];
  }
  if (type === 'certificate-authority') {
    const statusKey = verifiers?.statusKey?.keyArn;
    return [
      ...may.actOnIdentities(state.directory, role, 'bundles'),
      ...may.actOnKeysThatSign(type, role, stage),
      ...may.actOnPrivateAuthorities(role, stage),
      ...may.actOnKeptCertificates(state.directory, role),
      ...(statusKey === undefined ? [] : may.certifyStatusKey(role, statusKey)),
    ];
  }
  if (type === 'agent-token') return may.actOnIdentities(state.directory, role, 'tokens');
  if (type === 'root') return may.readRoots(type, stage, adminSecretKeyArns);
  const admin = may.readAdminSecret(type, adminSecretKeyArns);
  // A master that can't administer itself has a keeper, which may be of another type, or nobody's root.
  if (type === 'database-root') return [...may.readRoots(type, stage, []), ...admin];
  if (type === 'cloud-key') return [...admin, ...accessKeyGrants(role, stage)];
  if (type === 'llm-key') return [...admin, ...bedrockKeyGrants(role, stage)];
  return admin;
}

function accessKeyGrants(role: TypedRole, stage: string): readonly Grant[] {
  const looks = may.lookAtAccessKeys(stage);
  const ends = may.endAccessKeys(stage);
  const makes = may.makeAccessKeys(stage);
  const cuts = may.cutUserSessions(stage);
  const grants: Readonly<Record<TypedRole, readonly Grant[]>> = {
    rotate: [...looks, ...makes],
    register: [...makes, ...may.lookAtUserPolicies(stage)],
    verify: looks,
    retire: [...looks, ...ends],
    rollback: ends,
    reconcile: ends,
    revoke: [...ends, ...cuts],
    replace: [...makes, ...cuts],
  };
  return grants[role];
}

function bedrockKeyGrants(role: TypedRole, stage: string): readonly Grant[] {
  if (role === 'verify') return may.lookAtBedrockKeys(stage);
  const makes = role === 'rotate' || role === 'register' || role === 'replace';
  return makes ? may.makeBedrockKeys(stage) : may.endBedrockKeys(stage);
}

/**
 * How functions of a type reach its upstreams: databases within their network, everything else over HTTPS from outside
 * any VPC, to the public internet and to the hosts that the settings name. Identities are in Rekey's own directory.
 */
export function upstreamOf(
  type: CredentialType,
  { settings, state, verifiers }: Pick<RotationFunctionsProps, 'settings' | 'state' | 'verifiers'>,
): { readonly database: boolean; readonly environment: HandlerEnvironment } {
  const { privateUpstreams } = settings;
  if (DATABASE_TYPES.includes(type)) return { database: true, environment: {} };
  if (IDENTITY_TYPES.includes(type)) {
    return {
      database: false,
      environment: {
        directory: state.directoryTable.tableName,
        sealingKey: state.key.keyArn,
        stage: settings.stage,
        ...(verifiers === undefined ? {} : { directoryUrl: verifiers.url }),
        ...(type === 'certificate-authority' && verifiers?.statusKey !== undefined
          ? {
              statusKey: verifiers.statusKey.keyArn,
              ...(settings.statusUrl === undefined ? {} : { statusUrl: settings.statusUrl }),
            }
          : {}),
      },
    };
  }
  return {
    database: false,
    environment: privateUpstreams.length === 0 ? {} : { privateUpstreams: privateUpstreams.join(',') },
  };
}
