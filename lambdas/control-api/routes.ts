import type {
  APIGatewayProxyEventV2 as ApiEvent,
  APIGatewayProxyStructuredResultV2 as ApiResponse,
} from 'aws-lambda';
import {
  auditQuery,
  inventoryQuery,
  type InventoryAnswer,
  confirmRequest,
  emergencyRequest,
  listQuery,
  reasonRequest,
  registerRequest,
  type AuditAnswer,
  type Change,
  type EmergencyAnswer,
  type EmergencyStarted,
  type ListAnswer,
  type Notice,
  type PlanAnswer,
  type RegisterAnswer,
  type RotateAnswer,
  type RotationAnswer,
  type RotationView,
  type ShowAnswer,
} from '../../shared/api/messages.ts';
import { credentialView, planView, rotationView } from '../../shared/api/views.ts';
import type { Clock } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { RouteKey } from '../../shared/domain/access.ts';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import { stillMissing } from '../../shared/domain/holder-evidence.ts';
import type { Rotation, Trigger } from '../../shared/domain/rotation.ts';
import type { InventoryPage } from '../../shared/adapters/secrets-inventory.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { revocationsByHand } from '../../shared/providers/by-hand.ts';
import { matchRoute } from './match.ts';
import { readAudit } from './audit.ts';
import { resolveForEmergency } from './emergency.ts';
import { actorOf, BodyTooLarge, callOf, parse, pathOf, type Call } from './request.ts';
import { json, notAllowed, problem } from './response.ts';

/** What the API acts through. Each method throws RekeyErrors; anything else becomes a 500 without a word. */
export interface ControlServices {
  readonly ledger: Ledger;
  readonly clock: Clock;
  /**
   * Starts a rotation under `token`, the caller's idempotency key or a fresh one. It becomes the rotation's id, so that
   * a repeated request joins what the first has started; another rotation under way is refused.
   */
  requestRotation(input: {
    name: string;
    token: string;
    trigger: Trigger;
  }): Promise<{ rotation: Rotation; joined: boolean }>;
  /** Asks for a rollback; one that is under way already is joined. */
  requestRollback(input: {
    name: string;
    rotationId: string;
    trigger: Trigger;
  }): Promise<{ rotation: Rotation }>;
  /** Records that a holder of kind manual has moved; the same again is success. */
  confirmHolder(input: {
    name: string;
    rotationId: string;
    holder: string;
    trigger: Trigger;
  }): Promise<{ rotation: Rotation }>;
  register(input: { declaration: CredentialEntry; actor: string; dryRun: boolean }): Promise<{
    outcome: 'registered' | 'updated' | 'unchanged';
    changes: readonly Change[];
    notices?: readonly Notice[];
    credential?: Credential;
  }>;
  /** A page of the account's secrets. */
  inventory(input: { prefix?: string | undefined; page?: string | undefined }): Promise<InventoryPage>;
  /** `token` is the caller's idempotency key or a fresh one: a second start with the same one is the first. */
  startEmergency(input: {
    credentialIds: readonly string[];
    incidentId: string;
    reason: string;
    actor: string;
    replace: boolean;
    token: string;
  }): Promise<{ id: string }>;
  emergency(
    id: string,
  ): Promise<{ status: string; startedAt: string; endedAt?: string; results?: unknown } | undefined>;
}

/** An answer, and the error behind it where Rekey didn't raise it on purpose: for the log only. */
export interface Handled {
  readonly response: ApiResponse;
  readonly actor: string;
  readonly unexpected?: unknown;
}

interface Done<T> {
  readonly status: 200 | 201 | 202;
  readonly body: T;
}

type Route = (call: Call, services: ControlServices) => Promise<Done<unknown>>;

const ROTATIONS_SHOWN = 20;

/** What each route of the API does. */
const ROUTES: Readonly<Record<RouteKey, Route>> = {
  'POST /v1/credentials': register,
  'GET /v1/credentials': list,
  'GET /v1/credentials/{name}': show,
  'POST /v1/credentials/{name}/rotations': rotate,
  'GET /v1/credentials/{name}/rotations/{id}': showRotation,
  'POST /v1/credentials/{name}/rotations/{id}/rollback': rollBack,
  'POST /v1/credentials/{name}/rotations/{id}/confirmations': confirm,
  'POST /v1/emergencies': startEmergency,
  'GET /v1/emergencies/{id}': showEmergency,
  'GET /v1/plan': plan,
  'GET /v1/inventory': inventory,
  'GET /v1/audit': audit,
};

/** Answers one request. Never throws: every error becomes a problem document. */
export async function answer(event: ApiEvent, services: ControlServices): Promise<Handled> {
  const actor = actorOf(event);
  try {
    const { method } = event.requestContext.http;
    const found = matchRoute(method, pathOf(event));
    if (found === undefined) throw new RekeyError('ERR_NOT_FOUND', 'there is no such route');
    const { route, methods, params } = found;
    if (route === undefined) return { actor: actor ?? '', response: notAllowed(method, methods) };
    if (actor === undefined) {
      throw new RekeyError('ERR_FORBIDDEN', 'the request carries no caller', {
        remedy: 'sign the request with AWS Signature Version 4 (service execute-api)',
      });
    }
    const { status, body } = await ROUTES[route](callOf(event, actor, params), services);
    return { actor, response: json(status, body) };
  } catch (error) {
    const tooLarge = error instanceof BodyTooLarge;
    const response = problem(error, tooLarge ? 413 : undefined);
    return { actor: actor ?? '', response, ...(isRekeyError(error) ? {} : { unexpected: error }) };
  }
}

// --- routes

async function list({ query }: Call, { ledger, clock }: ControlServices): Promise<Done<ListAnswer>> {
  const { page } = parse(listQuery, query);
  const { items, next } = await ledger.list(page);
  const credentials = await Promise.all(
    items.map(async (credential) => credentialView(credential, await active(ledger, credential), clock())),
  );
  return { status: 200, body: { credentials, ...(next === undefined ? {} : { next }) } };
}

async function inventory({ query }: Call, services: ControlServices): Promise<Done<InventoryAnswer>> {
  const { ledger } = services;
  const { secrets, next } = await services.inventory(parse(inventoryQuery, query));
  const listed = await Promise.all(
    secrets.map(async ({ shape, ...secret }) => ({
      ...secret,
      shape: shape.kind === 'json' ? { ...shape, keys: [...shape.keys] } : shape,
      registered: (await ledger.idBySecret(secret.name)) !== undefined,
    })),
  );
  return { status: 200, body: { secrets: listed, ...(next === undefined ? {} : { next }) } };
}

async function plan({ query }: Call, { ledger, clock }: ControlServices): Promise<Done<PlanAnswer>> {
  const { page } = parse(listQuery, query);
  const { items, next } = await ledger.list(page);
  const entries = items.map((credential) => planView(credential, clock()));
  return { status: 200, body: { plan: entries, ...(next === undefined ? {} : { next }) } };
}

async function show(
  { params: [name = ''] }: Call,
  { ledger, clock }: ControlServices,
): Promise<Done<ShowAnswer>> {
  const credential = await credentialOf(ledger, name);
  const rotations = await ledger.rotations(credential.id, ROTATIONS_SHOWN);
  const current =
    rotations.find(({ id }) => id === credential.activeRotation) ?? (await active(ledger, credential));
  return {
    status: 200,
    body: {
      credential: {
        ...credentialView(credential, undefined, clock()),
        ...(current === undefined ? {} : { rotation: seen(credential, current, clock()) }),
      },
      rotations: rotations.map((rotation) => seen(credential, rotation, clock())),
      manualRevocation: (await revocationsByHand(credential)).map(({ handle: { id, generation }, text }) => ({
        handle: { id, generation },
        text,
      })),
    },
  };
}

async function showRotation(
  { params: [name = '', id = ''] }: Call,
  { ledger, clock }: ControlServices,
): Promise<Done<RotationAnswer>> {
  const credential = await credentialOf(ledger, name);
  const rotation = await ledger.rotation(credential.id, id);
  if (rotation === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `"${credential.name}" has no rotation "${id}"`, {
      remedy: `\`rekey show ${credential.name}\` lists its rotations`,
    });
  }
  return { status: 200, body: { rotation: seen(credential, rotation, clock()) } };
}

async function register(call: Call, services: ControlServices): Promise<Done<RegisterAnswer>> {
  const { declaration, dryRun } = parse(registerRequest, call.body());
  const entry = parseEntry(declaration);
  const {
    outcome,
    changes,
    notices = [],
    credential,
  } = await services.register({
    declaration: entry,
    actor: call.actor,
    dryRun,
  });
  return {
    status: outcome === 'registered' && !dryRun ? 201 : 200,
    body: {
      outcome,
      dryRun,
      changes: [...changes],
      notices: [...notices],
      ...(credential === undefined ? {} : { credential: credentialView(credential) }),
    },
  };
}

async function rotate(call: Call, services: ControlServices): Promise<Done<RotateAnswer>> {
  const { reason } = parse(reasonRequest, call.body());
  const { rotation, joined } = await services.requestRotation({
    name: call.params[0] ?? '',
    token: call.token,
    trigger: triggerOf(call.actor, reason),
  });
  return { status: 202, body: { rotation: rotationView(rotation), joined } };
}

async function rollBack(call: Call, services: ControlServices): Promise<Done<RotationAnswer>> {
  const { reason } = parse(reasonRequest, call.body());
  const [name = '', rotationId = ''] = call.params;
  const { rotation } = await services.requestRollback({
    name,
    rotationId,
    trigger: triggerOf(call.actor, reason),
  });
  return { status: 202, body: { rotation: rotationView(rotation) } };
}

async function confirm(call: Call, services: ControlServices): Promise<Done<RotationAnswer>> {
  const { holder, reason } = parse(confirmRequest, call.body());
  const [name = '', rotationId = ''] = call.params;
  const trigger = triggerOf(call.actor, reason);
  const { rotation } = await services.confirmHolder({ name, rotationId, holder, trigger });
  const credential = await credentialOf(services.ledger, name);
  return { status: 200, body: { rotation: seen(credential, rotation, services.clock()) } };
}

async function startEmergency(call: Call, services: ControlServices): Promise<Done<EmergencyStarted>> {
  const { credentials, incident, reason, replace } = parse(emergencyRequest, call.body());
  const { ids, unresolved } = await resolveForEmergency(services.ledger, credentials);
  const { id } = await services.startEmergency({
    credentialIds: ids,
    incidentId: incident,
    reason,
    actor: call.actor,
    replace,
    token: call.token,
  });
  return { status: 202, body: { id, credentials: ids, unresolved } };
}

async function showEmergency(
  { params: [id = ''] }: Call,
  services: ControlServices,
): Promise<Done<EmergencyAnswer>> {
  const found = await services.emergency(id);
  if (found === undefined) throw new RekeyError('ERR_NOT_FOUND', `no emergency "${id}"`);
  const { status, startedAt, endedAt, results } = found;
  const known = Array.isArray(results)
    ? results.filter((result) => typeof result === 'object' && result !== null)
    : [];
  return {
    status: 200,
    body: { id, status, startedAt, ...(endedAt === undefined ? {} : { endedAt }), results: known },
  };
}

async function audit(call: Call, { ledger, clock }: ControlServices): Promise<Done<AuditAnswer>> {
  const query = parse(auditQuery, call.query);
  return { status: 200, body: await readAudit(ledger, query, clock(), (name) => find(ledger, name)) };
}

// --- the ledger

async function find(ledger: Ledger, nameOrId: string): Promise<Credential | undefined> {
  const id = await ledger.idByName(nameOrId);
  return ledger.credential(id ?? nameOrId);
}

async function credentialOf(ledger: Ledger, name: string): Promise<Credential> {
  const credential = await find(ledger, name);
  if (credential !== undefined) return credential;
  throw new RekeyError('ERR_NOT_FOUND', `no credential "${name}"`, { remedy: '`rekey list` names them all' });
}

async function active(ledger: Ledger, { id, activeRotation }: Credential): Promise<Rotation | undefined> {
  return activeRotation === undefined ? undefined : ledger.rotation(id, activeRotation);
}

/** A rotation with what its holders' proof lacks, where its window is open. */
function seen({ holders }: Credential, rotation: Rotation, now: number): RotationView {
  const { window, phase, holderEvidence } = rotation;
  const open = window !== undefined && ['window', 'rolling-back'].includes(phase);
  return rotationView(
    rotation,
    open ? stillMissing(holders, window.opensAt, holderEvidence, now) : undefined,
  );
}

function triggerOf(actor: string, reason: string | undefined): Trigger {
  return { kind: 'operator', actor, ...(reason === undefined ? {} : { reason }) };
}
