import { randomUUID } from 'node:crypto';
import type {
  APIGatewayProxyEventV2 as ApiEvent,
  APIGatewayProxyStructuredResultV2 as ApiResponse,
} from 'aws-lambda';
import * as z from 'zod';
import {
  API_VERSION,
  auditQuery,
  emergencyRequest,
  IDEMPOTENCY_HEADER,
  listQuery,
  MAX_BODY_BYTES,
  reasonRequest,
  registerRequest,
  type AuditAnswer,
  type Change,
  type EmergencyAnswer,
  type EmergencyStarted,
  type ListAnswer,
  type RegisterAnswer,
  type RotateAnswer,
  type RotationAnswer,
  type ShowAnswer,
} from '../../shared/api/messages.ts';
import { PROBLEM_TYPE, problemOf, requestError } from '../../shared/api/problems.ts';
import { credentialView, rotationView } from '../../shared/api/views.ts';
import type { Clock } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import type { Rotation, Trigger } from '../../shared/domain/rotation.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { readAudit } from './audit.ts';
import { resolveForEmergency } from './emergency.ts';

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
  register(input: { declaration: CredentialEntry; actor: string; dryRun: boolean }): Promise<{
    outcome: 'registered' | 'updated' | 'unchanged';
    changes: readonly Change[];
    credential?: Credential;
  }>;
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

interface Call {
  readonly actor: string;
  readonly params: readonly string[];
  readonly query: Readonly<Record<string, string | undefined>>;
  /** The idempotency key, or a fresh one. */
  readonly token: string;
  readonly body: () => unknown;
}

interface Done<T> {
  readonly status: 200 | 201 | 202;
  readonly body: T;
}

type Route = (call: Call, services: ControlServices) => Promise<Done<unknown>>;

const authorized = z.object({ authorizer: z.object({ iam: z.object({ userArn: z.string().min(1) }) }) });

const ROTATIONS_SHOWN = 20;
const KEY = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const PARAM = /^[A-Za-z0-9._:@-]{1,256}$/;

/** Path patterns with what each method does; `*` is a parameter. */
const ROUTES: readonly (readonly [path: string, methods: Readonly<Record<string, Route>>])[] = [
  ['credentials', { GET: list, POST: register }],
  ['credentials/*', { GET: show }],
  ['credentials/*/rotations', { POST: rotate }],
  ['credentials/*/rotations/*', { GET: showRotation }],
  ['credentials/*/rotations/*/rollback', { POST: rollBack }],
  ['emergencies', { POST: startEmergency }],
  ['emergencies/*', { GET: showEmergency }],
  ['audit', { GET: audit }],
];

/** Answers one request. Never throws: every error becomes a problem document. */
export async function answer(event: ApiEvent, services: ControlServices): Promise<Handled> {
  const actor = actorOf(event);
  try {
    const found = match(pathOf(event));
    if (found === undefined) throw new RekeyError('ERR_NOT_FOUND', 'there is no such route');
    const { method } = event.requestContext.http;
    const route = found.methods[method];
    if (route === undefined) return { actor: actor ?? '', response: notAllowed(method, found.methods) };
    if (actor === undefined) {
      throw new RekeyError('ERR_FORBIDDEN', 'the request carries no caller', {
        remedy: 'sign the request with AWS Signature Version 4 (service execute-api)',
      });
    }
    const { status, body } = await route(callOf(event, actor, found.params), services);
    return { actor, response: json(status, body) };
  } catch (error) {
    const tooLarge = error instanceof BodyTooLarge;
    const response = problem(error, tooLarge ? 413 : undefined);
    return { actor: actor ?? '', response, ...(isRekeyError(error) ? {} : { unexpected: error }) };
  }
}

// --- routes

async function list({ query }: Call, { ledger }: ControlServices): Promise<Done<ListAnswer>> {
  const { page } = parse(listQuery, query);
  const { items, next } = await ledger.list(page);
  const credentials = await Promise.all(
    items.map(async (credential) => credentialView(credential, await active(ledger, credential))),
  );
  return { status: 200, body: { credentials, ...(next === undefined ? {} : { next }) } };
}

async function show({ params: [name = ''] }: Call, { ledger }: ControlServices): Promise<Done<ShowAnswer>> {
  const credential = await credentialOf(ledger, name);
  const rotations = await ledger.rotations(credential.id, ROTATIONS_SHOWN);
  const current =
    rotations.find(({ id }) => id === credential.activeRotation) ?? (await active(ledger, credential));
  return {
    status: 200,
    body: { credential: credentialView(credential, current), rotations: rotations.map(rotationView) },
  };
}

async function showRotation(
  { params: [name = '', id = ''] }: Call,
  { ledger }: ControlServices,
): Promise<Done<RotationAnswer>> {
  const credential = await credentialOf(ledger, name);
  const rotation = await ledger.rotation(credential.id, id);
  if (rotation === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `"${credential.name}" has no rotation "${id}"`, {
      remedy: `\`rekey show ${credential.name}\` lists its rotations`,
    });
  }
  return { status: 200, body: { rotation: rotationView(rotation) } };
}

async function register(call: Call, services: ControlServices): Promise<Done<RegisterAnswer>> {
  const { declaration, dryRun } = parse(registerRequest, call.body());
  const entry = parseEntry(declaration);
  const { outcome, changes, credential } = await services.register({
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

function triggerOf(actor: string, reason: string | undefined): Trigger {
  return { kind: 'operator', actor, ...(reason === undefined ? {} : { reason }) };
}

// --- the request

/** The ARN that API Gateway authenticated; a session of an assumed role stays as it is. */
function actorOf({ requestContext }: ApiEvent): string | undefined {
  const caller = authorized.safeParse(requestContext);
  return caller.success ? caller.data.authorizer.iam.userArn : undefined;
}

/** The path below the API's stage. */
function pathOf({ rawPath, requestContext: { stage } }: ApiEvent): string {
  return stage !== '$default' && rawPath.startsWith(`/${stage}/`) ? rawPath.slice(stage.length + 1) : rawPath;
}

function match(path: string): { methods: Readonly<Record<string, Route>>; params: string[] } | undefined {
  const [empty, version, ...parts] = path.split('/');
  if (empty !== '' || version !== API_VERSION) return undefined;
  for (const [pattern, methods] of ROUTES) {
    const wanted = pattern.split('/');
    if (wanted.length !== parts.length) continue;
    const params = parts.filter((_part, index) => wanted[index] === '*').map(decoded);
    const fits = wanted.every((part, index) => part === '*' || part === parts[index]);
    if (fits && params.every((param) => PARAM.test(param))) return { methods, params };
  }
  return undefined;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

function callOf(event: ApiEvent, actor: string, params: readonly string[]): Call {
  const key = Object.entries(event.headers).find(([name]) => name.toLowerCase() === IDEMPOTENCY_HEADER)?.[1];
  if (key !== undefined && !KEY.test(key)) {
    throw new RekeyError('ERR_REQUEST', 'the idempotency key is not a UUID', {
      field: 'Idempotency-Key',
      remedy: 'send a fresh lower-case UUID, and the same one with every repetition of this request',
    });
  }
  return {
    actor,
    params,
    query: event.queryStringParameters ?? {},
    token: key ?? randomUUID(),
    body: () => bodyOf(event),
  };
}

class BodyTooLarge extends RekeyError {}

function bodyOf({ body, isBase64Encoded }: ApiEvent): unknown {
  if (body === undefined || body === '') return {};
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');
  if (bytes.length > MAX_BODY_BYTES) {
    throw new BodyTooLarge('ERR_REQUEST', `the body is larger than ${MAX_BODY_BYTES} bytes`, {
      remedy: 'send one declaration entry at a time',
    });
  }
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's own message quotes the body.
    throw new RekeyError('ERR_REQUEST', 'the body is not JSON', { remedy: 'send a JSON object' });
  }
}

function parse<T extends z.ZodType>(schema: T, input: unknown): z.infer<T> {
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw requestError(parsed.error);
  return parsed.data;
}

// --- the response

function json(status: number, body: unknown): ApiResponse {
  return {
    statusCode: status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify(body),
  };
}

function problem(error: unknown, status?: number): ApiResponse {
  const document = problemOf(error, status);
  return {
    statusCode: document.status,
    headers: { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' },
    body: JSON.stringify(document),
  };
}

function notAllowed(method: string, methods: object): ApiResponse {
  const allow = Object.keys(methods).join(', ');
  const error = new RekeyError('ERR_REQUEST', `${method} is not possible here`, { remedy: `use ${allow}` });
  const response = problem(error, 405);
  return { ...response, headers: { ...response.headers, allow } };
}
