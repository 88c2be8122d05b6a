import type { Credential, Home } from '../domain/credential.ts';
import {
  assertForeignHost,
  holdersOf,
  modeOf,
  policyInput,
  type CredentialEntry,
} from '../domain/declaration.ts';
import { RekeyError, isRekeyError } from '../domain/errors.ts';
import { resolvePolicy, type PolicyLimits } from '../domain/policy.ts';
import { TAG } from '../names.ts';
import type { EngineDeps } from './deps.ts';

/** What registration needs beside the engine's own parts. */
export interface RegisterOptions {
  readonly home: Home;
  /** Stage of the deployment; its functions may touch only secrets that carry it as a tag. */
  readonly stage: string;
  readonly limits: PolicyLimits;
  /** Rotation function (alias ARN) of a credential type. */
  readonly rotationFunction: (type: string) => string;
  readonly secretsKey?: string;
}

/** A credential as declared, before the ledger has one. */
export type Draft = Omit<
  Credential,
  | 'id'
  | 'version'
  | 'epoch'
  | 'seq'
  | 'chain'
  | 'registeredAt'
  | 'updatedAt'
  | 'live'
  | 'generation'
  | 'status'
>;

/** The credential that a declaration asks for; every refusal that needs nothing but the declaration is here. */
export async function draftOf(
  deps: EngineDeps,
  options: RegisterOptions,
  declaration: CredentialEntry,
): Promise<Draft> {
  const provider = await deps.providerFor(declaration.type, declaration.provider);
  const holders = holdersOf(declaration);
  const target = provider.target(declaration.target);
  if (options.stage !== 'local') assertForeignHost(target);
  const targetIdentity = provider.identity?.(target);
  return {
    ...options.home,
    name: declaration.name,
    type: declaration.type,
    provider: declaration.provider,
    secretName: declaration.secret,
    target,
    ...(targetIdentity === undefined ? {} : { targetIdentity }),
    adminSecret: declaration.admin,
    policy: resolvePolicy(declaration.type, policyInput(declaration), holders, deps.clock(), options.limits),
    mode: modeOf(declaration),
    holders,
  };
}

/** Refuses a secret that exists already, unless an interrupted registration of ours has made it. */
export async function assertFree(deps: EngineDeps, draft: Draft, ownId: string | undefined): Promise<void> {
  const holder = await deps.ledger.idBySecret(draft.secretName);
  if (holder !== undefined && holder !== ownId) {
    throw new RekeyError(
      'ERR_SECRET_EXISTS',
      `the secret ${draft.secretName} belongs to another credential`,
      {
        field: 'secret',
        remedy: 'declare another secret name',
      },
    );
  }
  const found = await deps.vault.describe(draft.secretName);
  if (found === undefined || (ownId !== undefined && found.tags[TAG.credential] === ownId)) return;
  throw new RekeyError('ERR_SECRET_EXISTS', `a secret named ${draft.secretName} exists already`, {
    field: 'secret',
    remedy: 'declare another name; Rekey creates the secret itself and never overwrites one',
  });
}

/** Refuses a target that can't be reached or administered, with a remedy where the provider has none. */
export async function preflight(deps: EngineDeps, draft: Draft): Promise<void> {
  const provider = await deps.providerFor(draft.type, draft.provider);
  try {
    await provider.preflight(draft.target, {
      clock: deps.clock,
      admin: () => deps.readAdmin(draft.adminSecret),
    });
  } catch (error) {
    if (!isRekeyError(error)) throw error;
    throw new RekeyError(error.code, error.message, {
      field: error.field ?? 'target',
      remedy:
        error.remedy ?? 'check the address, the network path from Rekey’s functions and the admin secret',
      cause: error,
    });
  }
}
