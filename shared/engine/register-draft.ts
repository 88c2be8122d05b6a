import { isAuthority } from '../domain/bundle.ts';
import { targetTaken, type Credential, type Home } from '../domain/credential.ts';
import { holdersOf, modeOf, policyInput, type CredentialEntry } from '../domain/declaration.ts';
import { assertForeignHost } from '../domain/foreign-host.ts';
import { diffDeclared, type FieldChange } from '../domain/declared-diff.ts';
import { errorsOf, isRekeyError, RekeyError, throwAll } from '../domain/errors.ts';
import { assertAccess, resolvePolicy, type PolicyLimits } from '../domain/policy.ts';
import {
  assertDemands,
  assertPossible,
  assertVerifiable,
  withinReach,
  type Able,
  type Demands,
} from '../domain/possible.ts';
import { TAG } from '../names.ts';
import type { AnyProvider, Notice } from '../providers/provider.ts';
import type { EngineDeps } from './deps.ts';
import { adminOf, contextOf } from './state.ts';

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
  deps: Pick<EngineDeps, 'providerFor' | 'clock'>,
  options: RegisterOptions,
  declaration: CredentialEntry,
): Promise<Draft> {
  const provider = await deps.providerFor(declaration.type, declaration.provider);
  const holders = holdersOf(declaration, options.limits);
  const able = ableOf(provider);
  const policyFor = (demands?: Demands) =>
    resolvePolicy(
      declaration.type,
      withinReach(policyInput(declaration), able, demands),
      holders,
      deps.clock(),
      options.limits,
    );
  throwAll(
    errorsOf(
      () => provider.target(declaration.target),
      () => policyFor(),
      () => assertAdminDeclared(provider, declaration),
      () => assertVerifiable(holders, declaration),
    ),
  );
  const target = provider.target(declaration.target);
  const demands = provider.demands?.(target);
  const policy = policyFor(demands);
  assertAccess(policy, provider.access?.(target));
  assertPossible(policy, modeOf(declaration), able, demands);
  assertDemands(policy, holders, demands);
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
    ...(declaration.adopt === true ? { adoption: 'observed' as const } : {}),
    ...adminOfEntry(declaration, options.home),
    ...(declaration.root === undefined ? {} : { root: declaration.root }),
    policy,
    mode: modeOf(declaration),
    holders,
    ...(declaration.knownBy === undefined ? {} : { knownBy: declaration.knownBy.map((name) => ({ name })) }),
  };
}

/** What a policy may ask of a provider, as its contract says it. */
function ableOf({ provider, overlap, suspension, usageLagSeconds = 0, ...upstream }: AnyProvider): Able {
  const tells = upstream.usage !== undefined;
  return { provider, overlap, canSuspend: suspension !== undefined, ...(tells ? { usageLagSeconds } : {}) };
}

/** Whatever Rekey is to touch at the upstream needs its administrative login, unless Rekey's own role is let in there. */
function assertAdminDeclared({ needsAdmin }: AnyProvider, declaration: CredentialEntry): void {
  const { admin, adopt, provider } = declaration;
  if (needsAdmin === false && admin !== undefined) {
    throw new RekeyError('ERR_DECLARATION', `admin: ${provider} needs no administrative login`, {
      field: 'admin',
      remedy: "leave it out: Rekey's functions act under their own roles there",
    });
  }
  if (needsAdmin === false || admin !== undefined) return;
  if (adopt === true && modeOf(declaration) === 'observe') return;
  throw new RekeyError('ERR_DECLARATION', 'admin: no administrative login is declared', {
    field: 'admin',
    remedy: "name the secret with the target's administrative login",
  });
}

/** @throws RekeyError ERR_DECLARATION where the ARN names another region, out of reach of Rekey's functions */
function adminOfEntry({ admin }: CredentialEntry, { region }: Home): Pick<Draft, 'adminSecret'> {
  if (admin === undefined) return {};
  const elsewhere = /^arn:[^:]*:secretsmanager:([^:]*):/.exec(admin)?.[1];
  if (elsewhere === undefined || elsewhere === region) return { adminSecret: admin };
  throw new RekeyError('ERR_DECLARATION', `admin: the secret is in ${elsewhere}, Rekey works in ${region}`, {
    field: 'admin',
    remedy: `replicate it to ${region}, or name one that is there`,
  });
}

/** What a draft changes about a credential, whose target another version may have stored (hard decision 6). */
export async function changesTo(
  deps: EngineDeps,
  existing: Credential,
  draft: Draft,
): Promise<FieldChange[]> {
  const provider = await deps.providerFor(existing.type, existing.provider);
  return diffDeclared({ ...existing, target: provider.storedTarget(existing.target) }, draft);
}

/** Refuses users and a secret that exist already, unless an interrupted registration of ours has made them. */
export async function assertFree(deps: EngineDeps, draft: Draft, ownId: string | undefined): Promise<void> {
  await assertUnclaimed(deps, draft, ownId);
  const found = await deps.vault.describe(draft.secretName);
  if (found === undefined || (ownId !== undefined && found.tags[TAG.credential] === ownId)) return;
  throw new RekeyError('ERR_SECRET_EXISTS', `a secret named ${draft.secretName} exists already`, {
    field: 'secret',
    remedy: 'declare another name; or write adopt: true, if Rekey is to take it over as it is',
  });
}

/** Refuses users and a secret of another credential. */
export async function assertUnclaimed(
  deps: EngineDeps,
  draft: Draft,
  ownId: string | undefined,
): Promise<void> {
  await assertOwnUsers(deps, draft, ownId);
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
}

/** The ledger refuses them as well when they are reserved; a dry run learns it here, and nobody logs in for nothing. */
async function assertOwnUsers(
  deps: EngineDeps,
  { targetIdentity }: Draft,
  ownId: string | undefined,
): Promise<void> {
  if (targetIdentity === undefined) return;
  const id = await deps.ledger.idByTarget(targetIdentity);
  if (id === undefined || id === ownId) return;
  const holder = await deps.ledger.credential(id);
  if (holder !== undefined) throw targetTaken(holder);
}

/** What is allowed of holders and hardly meant: an authority gives certificates to principals alone. */
export function noticesOfHolders({
  type,
  target,
  holders,
}: Pick<Draft, 'type' | 'target' | 'holders'>): Notice[] {
  if (!isAuthority({ type, target }) || holders.some(({ principal }) => principal !== undefined)) return [];
  return [
    {
      field: 'holders',
      message: 'no holder has a principal, so nobody gets a certificate from it',
      remedy: 'declare each agent as a holder with its role as principal',
    },
  ];
}

/** Refuses a target that can't be reached or administered, with a remedy where the provider has none. */
export async function preflight(deps: EngineDeps, draft: Draft, ownId?: string): Promise<readonly Notice[]> {
  const provider = await deps.providerFor(draft.type, draft.provider);
  // Read once: what is checked of it is what logs in.
  let admin: ReturnType<EngineDeps['readAdmin']> | undefined;
  try {
    return await provider.preflight(
      draft.target,
      contextOf(
        deps,
        () => (admin ??= deps.readAdmin(adminOf(draft))),
        ownId === undefined ? {} : { id: ownId },
      ),
    );
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
