import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { answer } from '../../lambdas/control-api/routes.ts';
import type { ControlServices } from '../../lambdas/control-api/route.ts';
import { servicesOver } from '../../lambdas/control-api/services.ts';
import type { SignalStore } from '../../shared/ports/signals.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { MemoryFamilies } from '../support/families.ts';
import { MemoryUpstreamUses } from '../support/upstream-uses.ts';
import type { ApiRequest } from './recorded.ts';

/** The schema with which the CLI reads the answer of a route. */
const SCHEMAS: readonly (readonly [route: RegExp, schema: string])[] = [
  [/^POST \/v1\/credentials$/, 'registerAnswer'],
  [/^GET \/v1\/credentials$/, 'listAnswer'],
  [/^GET \/v1\/credentials\/[^/]+$/, 'showAnswer'],
  [/^POST \/v1\/credentials\/[^/]+\/rotations$/, 'rotateAnswer'],
  [/^(GET|POST) \/v1\/credentials\/[^/]+\/rotations\/.+$/, 'rotationAnswer'],
  [/^POST \/v1\/emergencies$/, 'emergencyStarted'],
  [/^GET \/v1\/emergencies\/[^/]+$/, 'emergencyAnswer'],
  [/^GET \/v1\/plan$/, 'planAnswer'],
  [/^GET \/v1\/inventory$/, 'inventoryAnswer'],
  [/^GET \/v1\/audit$/, 'auditAnswer'],
];

/** Name of the schema with which the CLI reads the answer to a request. */
export function schemaOf({ method, path }: ApiRequest): string {
  const found = SCHEMAS.find(([route]) => route.test(`${method} ${path}`));
  if (found === undefined) throw new Error(`no schema is known for ${method} ${path}`);
  return found[1];
}

/** The API's services over an engine; nothing stands behind what other functions do but `register` and a list. */
export function servicesOf(engine: EngineDeps, register: ControlServices['register']): ControlServices {
  const never = (): never => {
    throw new Error('no recorded request comes here');
  };
  return servicesOver(
    { ...engine, alignBackstop: never },
    {
      register,
      unregister: never,
      recordRoot: never,
      signals: new Proxy({}, { get: never }) as SignalStore,
      signalPolicy: { maxCredentials: 3, maxAgents: 50, breakGlassSeconds: 1800 },
      deactivation: never,
      askForConsent: never,
      connectFamily: never,
      revokeCertificate: never,
      subscriptions: never,
      subscribe: never,
      unsubscribe: never,
      diagnosis: new Proxy({}, { get: never }) as ControlServices['diagnosis'],
      upstreamUses: new MemoryUpstreamUses(),
      families: new MemoryFamilies(engine.clock),
      coordinator: new Proxy({}, { get: never }) as ControlServices['coordinator'],
      inventory: async () => ({
        secrets: [
          {
            name: 'legacy/orders-db',
            arn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:legacy/orders-db-AbCdEf',
            tags: { team: 'orders' },
            shape: { kind: 'json', keys: ['username', 'password'], engine: 'postgres', username: 'orders' },
          },
        ],
      }),
    },
  );
}

/** A request as API Gateway hands it to the function, as far as that reads it: hence the cast. */
export function gatewayEvent({ method, path, query, headers, body }: ApiRequest): APIGatewayProxyEventV2 {
  return {
    rawPath: path,
    headers,
    ...(query === undefined ? {} : { queryStringParameters: query }),
    ...(body === undefined ? {} : { body }),
    isBase64Encoded: false,
    requestContext: {
      stage: '$default',
      requestId: 'request',
      http: { method, path },
      authorizer: { iam: { userArn: 'arn:aws:iam::111122223333:user/operator' } },
    },
    // As far as the routes read an event: the type wants all that AWS sends.
  } as unknown as APIGatewayProxyEventV2;
}

/** Serves the API on a loopback port; `heard` is told of every request and its answer. */
export async function serveApi(
  services: ControlServices,
  heard: (request: ApiRequest, status: number, answer: unknown) => void,
): Promise<{ url: string; close: () => Promise<void> }> {
  const respond = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const request = await requestOf(incoming);
    const { response } = await answer(gatewayEvent(request), services);
    heard(request, response.statusCode ?? 0, JSON.parse(response.body ?? 'null'));
    outgoing.writeHead(response.statusCode ?? 500, { 'content-type': 'application/json' });
    outgoing.end(response.body);
  };
  const server = createServer((incoming, outgoing) => {
    respond(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { url: `http://127.0.0.1:${address.port}`, close };
}

/** What the API reads of a request; signature and connection are API Gateway's. */
async function requestOf(incoming: IncomingMessage): Promise<ApiRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  const { pathname: path, searchParams } = new URL(incoming.url ?? '/', 'http://localhost');
  const headers = Object.fromEntries(
    ['content-type', 'idempotency-key'].flatMap((name) => {
      const value = incoming.headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
  return {
    method: incoming.method ?? 'GET',
    path,
    ...(searchParams.size === 0 ? {} : { query: Object.fromEntries(searchParams) }),
    headers,
    ...(body === '' ? {} : { body }),
  };
}
