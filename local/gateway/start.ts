import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerAdmin } from './admin.ts';
import { classify, type CallKind } from './classify.ts';
import { Faults, type FaultAction, type Verdict } from './faults.ts';
import type { PlayedService } from './played-service.ts';
import { Recorder } from './recorder.ts';
import { Requests } from './requests.ts';
import type { RetryPolicy } from './rotation/driver.ts';
import { publishApiCall, publishHealth } from './rotation/events.ts';
import { SecretsManager } from './rotation/secrets-manager.ts';
import { ServiceCredentials } from './service-credentials.ts';
import { answerHeaders, Upstream, wholeAnswer } from './upstream.ts';
import {
  BodyTooLarge,
  errorAnswer,
  jsonAnswer,
  parseBody,
  protocolError,
  readBody,
  type WireAnswer,
} from './wire.ts';

/** The gateway in front of MiniStack. */
export interface Gateway {
  /** What clients use as AWS_ENDPOINT_URL. */
  readonly url: string;
  readonly port: number;
  readonly recorder: Recorder;
  readonly faults: Faults;
  readonly secrets: SecretsManager;
  /** What IAM keeps of keys for Bedrock. */
  readonly serviceCredentials: ServiceCredentials;
  /** Services that MiniStack lacks and this process plays, by their name in IAM. */
  readonly services: Map<string, PlayedService>;
  /** Rotation functions of this process by ARN; every other ARN is invoked as a Lambda. */
  readonly functions: Upstream['functions'];
  /** Plays CloudTrail for one call of Secrets Manager: `record` is put onto the default bus. */
  cloudTrail(record: object): Promise<void>;
  /** Plays AWS Health: what it tells of these entities is put onto the default bus. */
  health(detail: object, entities: readonly string[]): Promise<void>;
  /** Tells it where MiniStack is, and whether that enforces IAM; until then calls are answered with 503. */
  connect(url: string, iam: boolean): void;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  readonly port?: number;
  readonly retry?: Partial<RetryPolicy>;
}

const maxInspectedBytes = 16 * 1024 * 1024;

/** Starts the gateway on a loopback port. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const upstream = new Upstream();
  const recorder = new Recorder();
  const faults = new Faults();
  const secrets = new SecretsManager(upstream, options.retry);
  const serviceCredentials = new ServiceCredentials();
  const services = new Map<string, PlayedService>();
  const requests = new Requests((service, resource) => services.get(service)?.tagsOf(resource) ?? {});
  const parts: Parts = { upstream, recorder, requests, faults, secrets, serviceCredentials, services };
  const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 0 }, (request, response) => {
    serve(parts, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else send(response, errorAnswer('ServiceUnavailable', `The local gateway: ${String(error)}`, 503));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The gateway has no TCP port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    recorder,
    faults,
    secrets,
    serviceCredentials,
    services,
    functions: upstream.functions,
    cloudTrail: (record) => publishApiCall(upstream, record),
    health: (detail, entities) => publishHealth(upstream, detail, entities),
    connect: (url, iam) => {
      upstream.url = url;
      upstream.pretendTls = iam;
    },
    stop: async () => {
      await secrets.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      upstream.close();
    },
  };
}

interface Parts {
  readonly upstream: Upstream;
  readonly recorder: Recorder;
  readonly requests: Requests;
  readonly faults: Faults;
  readonly secrets: SecretsManager;
  readonly serviceCredentials: ServiceCredentials;
  readonly services: ReadonlyMap<string, PlayedService>;
}

async function serve(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url ?? '/';
  if (url.startsWith('/_rekey/')) {
    send(response, await answerAdmin(parts, request));
    return;
  }
  if (url.startsWith('/_ministack/')) {
    await stream(parts.upstream, request, response, false);
    return;
  }
  const started = Date.now();
  const inspected = isInspected(request);
  const body = inspected ? await readBody(request, maxInspectedBytes).catch(tooLarge) : undefined;
  if (body === null) {
    send(response, errorAnswer('RequestEntityTooLargeException', 'The request is too large.', 413));
    return;
  }
  const input = body === undefined ? undefined : parseBody(request.headers['content-type'], body);
  const call = classify(request.method ?? 'GET', url, request.headers, input);
  const verdict = parts.faults.judge(call);
  // Before the call: what it makes or deletes must not change what is asked about it.
  const asks = call.function === undefined ? undefined : parts.requests.of(call, input);
  const outcome = await carryOut(parts, request, response, { call, verdict, body, input });
  const agent = request.headers['user-agent'];
  parts.recorder.add({
    ...call,
    at: new Date(started).toISOString(),
    durationMs: Date.now() - started,
    ...outcome,
    ...(asks === undefined ? {} : { asks }),
    ...(agent === undefined ? {} : { userAgent: agent }),
    ...(verdict.action === undefined && verdict.delayMs === 0
      ? {}
      : { fault: verdict.action?.kind ?? 'delay' }),
  });
}

interface Work {
  readonly call: CallKind;
  readonly verdict: Verdict;
  readonly body: Buffer | undefined;
  readonly input: Record<string, unknown> | undefined;
}

async function carryOut(
  parts: Parts,
  request: IncomingMessage,
  response: ServerResponse,
  { call, verdict, body, input }: Work,
): Promise<{ status: number; error?: string }> {
  if (verdict.delayMs > 0) await sleep(verdict.delayMs);
  const { action } = verdict;
  if (action?.kind === 'drop') {
    request.socket.destroy();
    return { status: 0 };
  }
  if (action?.kind === 'throttle' || action?.kind === 'error' || action?.kind === 'refuse') {
    const answer = refusal(call.service, request, action);
    request.resume();
    send(response, answer);
    return outcomeOf(answer);
  }
  const loses = action?.kind === 'lose-answer';
  if (body === undefined) return { status: await stream(parts.upstream, request, response, loses) };
  const forward = async () => wholeAnswer(await parts.upstream.forward(request, body));
  const answer = await (call.service === 'secretsmanager' && input !== undefined
    ? parts.secrets.handle(call.operation, input, forward)
    : (parts.serviceCredentials.answer(call, input) ?? played(parts, call, input) ?? forward()));
  if (answer.status < 400) parts.requests.learn(call, input, () => parseBody(undefined, answer.body));
  if (loses) {
    response.destroy();
    return { status: 0 };
  }
  send(response, answer);
  return outcomeOf(answer);
}

/** The answer of a service that is played. It sees no signature and asks no role; the test of recorded calls does. */
function played(
  { services }: Parts,
  { service, operation }: CallKind,
  input: object = {},
): Promise<WireAnswer> | undefined {
  return services
    .get(service)
    ?.answer(operation, input)
    .then(({ status, body }) => jsonAnswer(status, body));
}

function refusal(
  service: string,
  request: IncomingMessage,
  action: Extract<FaultAction, { kind: 'throttle' | 'error' | 'refuse' }>,
): WireAnswer {
  const isQuery = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
  if (action.kind === 'refuse') return protocolError(service, isQuery, action.code, action.message, 400);
  if (action.kind === 'error') {
    const code = service === 's3' ? 'InternalError' : 'InternalFailure';
    return protocolError(service, isQuery, code, 'Injected by the local gateway', action.status ?? 500);
  }
  if (service === 's3')
    return protocolError(service, isQuery, 'SlowDown', 'Please reduce your request rate.', 503);
  if (isQuery) return protocolError(service, isQuery, 'Throttling', 'Rate exceeded', 400);
  if (service === 'lambda')
    return protocolError(service, false, 'TooManyRequestsException', 'Rate exceeded', 429);
  return protocolError(service, false, 'ThrottlingException', 'Rate exceeded', 400);
}

function outcomeOf(answer: WireAnswer): { status: number; error?: string } {
  if (answer.status < 400) return { status: answer.status };
  const named = answer.headers['x-amzn-errortype'] ?? parseBody(undefined, answer.body)?.['__type'];
  const error = typeof named === 'string' ? named.split(/[#:]/).at(named.includes('#') ? 1 : 0) : undefined;
  return { status: answer.status, ...(error === undefined ? {} : { error }) };
}

/** Passes both bodies through without keeping them: objects of S3, payloads of Lambda, calls of the HTTP API. */
async function stream(
  upstream: Upstream,
  request: IncomingMessage,
  response: ServerResponse,
  losesAnswer: boolean,
): Promise<number> {
  if (!upstream.ready) {
    request.resume();
    send(response, errorAnswer('ServiceUnavailable', 'MiniStack is not up yet', 503));
    return 503;
  }
  const answer = await upstream.forward(request);
  if (losesAnswer) {
    answer.resume();
    await new Promise((resolve) => answer.once('close', resolve));
    response.destroy();
    return 0;
  }
  response.writeHead(answer.statusCode ?? 502, answerHeaders(answer));
  answer.pipe(response);
  await new Promise((resolve) => response.once('close', resolve));
  return answer.statusCode ?? 502;
}

/** Bodies of the JSON and form protocols are small and name operation and resource; all others are streamed. */
function isInspected(request: IncomingMessage): boolean {
  const type = request.headers['content-type'] ?? '';
  return (
    request.headers['x-amz-target'] !== undefined ||
    type.startsWith('application/x-amz-json') ||
    type.startsWith('application/x-www-form-urlencoded')
  );
}

function tooLarge(error: unknown): null {
  if (error instanceof BodyTooLarge) return null;
  throw error;
}

function send(response: ServerResponse, answer: WireAnswer): void {
  const headers = Object.fromEntries(
    Object.entries(answer.headers).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : [...value],
    ]),
  );
  response.writeHead(answer.status, { ...headers, 'content-length': answer.body.length });
  response.end(answer.body);
}
