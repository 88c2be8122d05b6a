import * as z from 'zod';
import { entryFields, familyFields, file, frame, rootFields } from './declaration-form.ts';
import { durationSeconds } from './duration.ts';
import { RekeyError, throwAll, errorsOf } from './errors.ts';
import type { FamilyClient, FamilyTerms } from './families.ts';
import type { Holder } from './holders.ts';
import { declarationErrors, prefixField } from './mistakes.ts';
import { boundsOf, resolvePolicy, type Mode, type PolicyInput, type PolicyLimits } from './policy.ts';
import { BY_HAND, isRoot, REKEY_HOLDER, rekeyAsHolder, rootTypeOf } from './roots.ts';
import { inWords } from './wording.ts';

/** As much of an entry as its policy follows from. */
const policyPart = z.object(entryFields.shape).pick({ type: true, policy: true, holders: true, root: true });

/** One entry of a declaration file, checked in form. */
export type CredentialEntry = z.infer<typeof entryFields>;

/** What a declaration file declares; roots in the form of credentials. */
export interface Declaration {
  readonly credentials: CredentialEntry[];
  readonly roots: CredentialEntry[];
  readonly families: FamilyEntry[];
}

/** A family as declared, checked in form. */
export type FamilyEntry = z.infer<typeof familyFields>;

/** JSON Schema of the declaration file, as published in `docs/rekey.schema.json`. */
export function declarationJsonSchema(): object {
  return {
    ...z.toJSONSchema(file),
    anyOf: [{ required: ['credentials'] }, { required: ['roots'] }, { required: ['families'] }],
    title: 'rekey.yaml',
    description: 'Credentials that Rekey rotates. `rekey apply` registers what is here.',
  };
}

/** The day and the limits that policies are checked against, where they are. */
export interface PolicyCheck {
  readonly now: number;
  readonly limits: PolicyLimits;
}

/**
 * Checks a declaration file: its form, and its policies where `check` says against what.
 * @throws RekeyError naming the field, e.g. `credentials[0].policy.window`; its `also` has every further mistake.
 */
export function parseDeclaration(input: unknown, check?: PolicyCheck): Declaration {
  const parsed = frame.safeParse(input, { error: inWords });
  const found = parsed.success ? [] : declarationErrors(parsed.error);
  found.push(...errorsOf(() => assertDeclares(input)));
  const declared: Declaration = { credentials: [], roots: [], families: [] };
  const duplicates = [firstUse('name'), firstUse('secret')];
  const parsers: Readonly<Record<keyof Declaration, (raw: unknown) => unknown>> = {
    credentials: (raw) => declared.credentials.push(parseCredential(raw, check)),
    roots: (raw) => declared.roots.push(parseRoot(raw, check)),
    families: (raw) => declared.families.push(parseFamily(raw)),
  };
  for (const list of ['credentials', 'roots', 'families'] as const) {
    entriesOf(input, list).forEach((raw, index) => {
      const at = `${list}[${index}]`;
      const mistakes = errorsOf(
        () => parsers[list](raw),
        ...duplicates.map((assertFirst) => () => assertFirst(raw, at)),
      );
      found.push(...mistakes.map((mistake) => prefixField(mistake, at)));
    });
  }
  throwAll(found);
  return declared;
}

/** Roots or families alone are a declaration too; a file with no list is none. */
function assertDeclares(input: unknown): void {
  const { data } = z.record(z.string(), z.unknown()).safeParse(input);
  const { credentials, roots = [], families = [] } = data ?? {};
  if (data === undefined || credentials !== undefined) return;
  if ([roots, families].some((list) => !Array.isArray(list) || list.length > 0)) return;
  throw new RekeyError('ERR_DECLARATION', 'credentials: is missing; write a list', {
    field: 'credentials',
    remedy: 'declare credentials, roots or families; docs/rekey.schema.json has every field with its meaning',
  });
}

/** An entry of a file. @throws RekeyError also for a root, which has a list of its own */
function parseCredential(input: unknown, check: PolicyCheck | undefined): CredentialEntry {
  const entry = parseEntry(input, check);
  if (isRoot(entry.type)) throw notARoot();
  return entry;
}

function notARoot(): RekeyError {
  return new RekeyError('ERR_DECLARATION', 'administrative credentials are declared under roots', {
    field: 'type',
    remedy: 'move it there, with owner and scope: docs/roots.md shows the form',
  });
}

function notAHolder(): RekeyError {
  return new RekeyError('ERR_DECLARATION', `"${REKEY_HOLDER}" is what Rekey itself is called there`, {
    field: 'holders',
    remedy: 'give that holder another name; Rekey is one without being declared',
  });
}

function notEnforced(): RekeyError {
  return new RekeyError('ERR_DECLARATION', 'a person replaces this root: Rekey only observes it', {
    field: 'mode',
    remedy: 'leave mode out, or write mode: observe; docs/roots.md names the roots that Rekey rotates',
  });
}

function isEnforcedByHand(entry: Pick<CredentialEntry, 'type' | 'provider' | 'mode' | 'adopt'>): boolean {
  return isRoot(entry.type) && entry.provider === BY_HAND && modeOf(entry) !== 'observe';
}

/** A root as a credential that exists, and that administers itself where nothing else does. */
function parseRoot(input: unknown, check: PolicyCheck | undefined): CredentialEntry {
  const parsed = rootFields.safeParse(input, { error: inWords });
  if (!parsed.success) throwAll(declarationErrors(parsed.error));
  const { owner, scope, target = {}, admin, mode, policy: given, ...declared } = rootFields.parse(input);
  const isByHand = declared.provider === BY_HAND;
  const isTask = isByHand || mode === 'observe';
  return parseEntry(
    {
      ...declared,
      type: rootTypeOf(declared.provider),
      adopt: true,
      admin: admin ?? declared.secret,
      target,
      mode: mode ?? (isTask ? 'observe' : 'enforce'),
      policy: { interval: isTask ? '90d' : '30d', ...given },
      root: { owner, scope },
    },
    check,
  );
}

/**
 * Checks a family, as the API receives it.
 * @throws RekeyError naming the field; its `also` has every further mistake.
 */
export function parseFamily(input: unknown): FamilyEntry {
  const parsed = familyFields.safeParse(input, { error: inWords });
  if (!parsed.success) throwAll(declarationErrors(parsed.error));
  const entry = familyFields.parse(input);
  const { client, grant } = entry;
  const isPublic = client.secret === undefined;
  if (isPublic !== (authenticationOf(client) === 'none')) {
    throw new RekeyError('ERR_DECLARATION', 'client.secret and client.authentication contradict each other', {
      field: 'client.secret',
      remedy: 'name the secret that the client authenticates with, or say authentication: none without one',
    });
  }
  if (isPublic && grant === 'client_credentials') {
    throw new RekeyError('ERR_DECLARATION', 'a client that acts for itself has to say who it is', {
      field: 'client.secret',
      remedy: 'name the secret with what it authenticates with',
    });
  }
  return entry;
}

function authenticationOf({ authentication, secret }: FamilyEntry['client']): FamilyClient['authentication'] {
  return authentication ?? (secret === undefined ? 'none' : 'client_secret_basic');
}

/** The terms of an entry, with what is left out filled in. */
export function familyTermsOf(entry: FamilyEntry): FamilyTerms {
  const { owner, server, client, grant, scopes = [], resource, audience, refresh = {} } = entry;
  return {
    owner,
    server,
    client: { ...client, authentication: authenticationOf(client) },
    grant: grant ?? 'authorization_code',
    scopes,
    ...(resource === undefined ? {} : { resource }),
    ...(audience === undefined ? {} : { audience }),
    rotation: refresh.rotation ?? true,
    graceSeconds: durationSeconds(refresh.grace ?? '0s'),
    holders: declaredHolders(entry),
  };
}

/**
 * Checks one entry, as the API receives it: its form, and its policy where `check` says against what.
 * @throws RekeyError naming the field; its `also` has every further mistake.
 */
export function parseEntry(input: unknown, check?: PolicyCheck): CredentialEntry {
  const parsed = entryFields.safeParse(input, { error: inWords });
  const { data: part } = policyPart.safeParse(input);
  const { data: typed } = z.object({ type: entryFields.shape.type }).safeParse(input);
  const unknownType = typed === undefined ? [] : errorsOf(() => boundsOf(typed.type));
  const { now, limits } = check ?? {};
  throwAll([
    ...(parsed.success ? [] : declarationErrors(parsed.error)),
    ...unknownType,
    ...(part === undefined || isRoot(part.type) === (part.root !== undefined) ? [] : [notARoot()]),
    ...(part?.root !== undefined && part.holders?.some(({ name }) => name === REKEY_HOLDER) === true
      ? [notAHolder()]
      : []),
    ...(parsed.success && isEnforcedByHand(parsed.data) ? [notEnforced()] : []),
    ...(part === undefined || unknownType.length > 0 || now === undefined
      ? []
      : errorsOf(() => resolvePolicy(part.type, policyInput(part), holdersOf(part, limits), now, limits))),
  ]);
  return entryFields.parse(input);
}

/** The policy of an entry with durations in seconds. */
export function policyInput(declared: Pick<CredentialEntry, 'policy'>): PolicyInput {
  const seconds = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : durationSeconds(text);
  const { policy: given = {} } = declared;
  return {
    intervalSeconds: seconds(given.interval),
    windowSeconds: seconds(given.window),
    deadlineSeconds: seconds(given.deadline),
    capSeconds: seconds(given.cap),
    soakSeconds: seconds(given.soak),
    evidenceOfUse: given.evidenceOfUse,
    announceSeconds: seconds(given.announce),
    atDeadline: given.atDeadline,
    access: given.access,
    sensitivity: given.sensitivity,
    exception: given.exception,
    canary: given.canary && { percent: given.canary.percent, seconds: durationSeconds(given.canary.for) },
  };
}

/** Holders of an entry with TTLs in seconds; of a root, Rekey's own functions are the first. */
export function holdersOf(
  declared: Pick<CredentialEntry, 'holders' | 'root'>,
  limits: PolicyLimits = {},
): Holder[] {
  const own = declared.root === undefined ? [] : [rekeyAsHolder(limits)];
  return [...own, ...declaredHolders(declared)];
}

function declaredHolders(
  declared: Pick<CredentialEntry, 'holders'> | Pick<FamilyEntry, 'holders'>,
): Holder[] {
  return (declared.holders ?? []).map((given) => {
    const { agents, principal: readsAs } = given;
    const about = {
      name: given.name,
      ...(agents === undefined ? {} : { agents }),
      ...(readsAs === undefined ? {} : { principal: readsAs }),
    };
    switch (given.kind) {
      case 'polling':
        return { kind: given.kind, ...about, ttlSeconds: durationSeconds(given.ttl) };
      case 'lambda': {
        const ttl = given.ttl === undefined ? {} : { ttlSeconds: durationSeconds(given.ttl) };
        return { kind: given.kind, ...about, function: given.function, ...ttl };
      }
      case 'ecs-restart':
        return { kind: given.kind, ...about, cluster: given.cluster, service: given.service };
      case 'manual':
        return { kind: given.kind, ...about };
      case 'client': {
        const fleet = given.fleet === undefined ? {} : { fleet: given.fleet };
        const verifies = given.verifies === undefined ? {} : { verifies: given.verifies };
        return { kind: given.kind, ...about, principal: given.principal, ...fleet, ...verifies };
      }
    }
  });
}

/** Mode of an entry. */
export function modeOf(declared: Pick<CredentialEntry, 'mode' | 'adopt'>): Mode {
  return declared.mode ?? (declared.adopt === true ? 'observe' : 'enforce');
}

function entriesOf(input: unknown, list: keyof Declaration): unknown[] {
  const { data } = z.record(z.string(), z.unknown()).safeParse(input);
  const found = data?.[list];
  return Array.isArray(found) ? found : [];
}

/** Refuses the second entry with the same value under `key`. */
function firstUse(key: 'name' | 'secret'): (raw: unknown, at: string) => void {
  const seen = new Map<string, string>();
  return (raw, at) => {
    const { data } = z.record(z.string(), z.unknown()).safeParse(raw);
    const value = data?.[key];
    if (typeof value !== 'string') return;
    const first = seen.get(value);
    if (first === undefined) {
      seen.set(value, at);
      return;
    }
    throw new RekeyError('ERR_DECLARATION', `two entries have the ${key} "${value}"`, {
      field: key,
      remedy: `give each entry its own ${key}; the other one is ${first}`,
    });
  };
}
