import * as z from 'zod';
import {
  AGENT_ROUTES,
  ISSUING_ROUTES,
  type AgentRouteKey,
  type IssuingRouteKey,
} from '../domain/agent-routes.ts';
import { agentName } from '../domain/pact.ts';
import { REKEY_VERSION } from '../version.ts';
import * as messages from './agent-messages.ts';
import { problem, PROBLEM_TYPE } from './problems.ts';

/** What an operation of the agent API takes and answers. */
interface Operation {
  readonly id: string;
  readonly summary: string;
  readonly request?: z.ZodType;
  readonly status: 200 | 201;
  readonly answer: z.ZodType;
  /** Statuses of refusals, beside those that every operation has. */
  readonly refusals?: Readonly<Record<number, string>>;
  /** Answers 304 to a tag that it has given before. */
  readonly conditional?: true;
}

const OPERATIONS: Readonly<Record<AgentRouteKey | IssuingRouteKey, Operation>> = {
  'PUT /agents/{agent}/pact': {
    id: 'registerPact',
    summary: 'Registers what the agent can bear; the same again changes nothing',
    request: messages.pactRequest,
    status: 200,
    answer: messages.pactAnswer,
    refusals: { 422: 'ERR_PACT: the declaration does not bear it; `field` and `also` name what' },
  },
  'POST /agents/{agent}/sessions': {
    id: 'openSession',
    summary: 'Opens the session of an instance; the same instance with the same key is the same session',
    request: messages.sessionRequest,
    status: 201,
    answer: messages.sessionAnswer,
    refusals: {
      409: 'ERR_ROTATION_UNDER_WAY: a rotation is using the gap between sessions; ask again after `Retry-After`. ERR_CONFLICT: signed at another time (field `payload.at`), or below a number that has come before (`payload.sequence`): sign another one',
      422: 'ERR_CAPACITY: too many sessions',
    },
  },
  'POST /agents/{agent}/sessions/{session}/heartbeat': {
    id: 'heartbeat',
    summary: 'Says what the instance holds, and takes its notices; the same again changes nothing',
    request: messages.heartbeatRequest,
    status: 200,
    answer: messages.noticesAnswer,
    refusals: {
      409: 'ERR_CONFLICT: a newer word of the instance has come before (field `payload.sequence`), or the session has ended meanwhile',
    },
  },
  'GET /agents/{agent}/sessions/{session}/notices': {
    id: 'notices',
    summary: 'The notices; they keep no session alive',
    status: 200,
    answer: messages.noticesAnswer,
    conditional: true,
  },
  'POST /agents/{agent}/sessions/{session}/challenges': {
    id: 'challenge',
    summary: 'A challenge for one acknowledgement, for two minutes; the one before it is void',
    request: messages.challengeRequest,
    status: 201,
    answer: messages.challengeAnswer,
    refusals: { 409: 'ERR_CONFLICT: no window of that rotation is open' },
  },
  'POST /agents/{agent}/sessions/{session}/acknowledgements': {
    id: 'acknowledge',
    summary: 'Proves that the instance has the new value; the same again is success',
    request: messages.acknowledgementRequest,
    status: 200,
    answer: messages.acknowledgementAnswer,
    refusals: {
      409: 'ERR_CHALLENGE: unknown, spent or expired; ERR_CONFLICT: the rotation is over, or about another version',
    },
  },
  'POST /agents/{agent}/sessions/{session}/uses': {
    id: 'reportUses',
    summary: 'Reports uses of versions; a report that ends no later than one before counts once',
    request: messages.usesRequest,
    status: 200,
    answer: messages.usesAnswer,
  },
  'POST /agents/{agent}/sessions/{session}/close': {
    id: 'closeSession',
    summary: 'Ends the session; ended already is success',
    request: messages.closeRequest,
    status: 200,
    answer: messages.closeAnswer,
  },
  'POST /certificates': {
    id: 'issueCertificate',
    summary:
      'Issues a certificate to the agent that calls; the same request again gives the same one, signed anew',
    request: messages.certificateRequest,
    status: 201,
    answer: messages.certificateAnswer,
    refusals: {
      403: 'ERR_FORBIDDEN: the caller is no agent of this certificate authority; ERR_PROOF: the request is not signed by its own key (field `csr`)',
      404: 'ERR_NOT_FOUND: the deployment has no certificate authorities',
      409: 'ERR_CONFLICT: the key has had a certificate before: make another one',
      422: 'ERR_CAPACITY: too many certificates of this agent in this hour',
      503: 'ERR_UNAVAILABLE: ask again; after an emergency until the next authority is in its place',
    },
  },
};

const REFUSALS: Readonly<Record<number, string>> = {
  400: 'ERR_REQUEST: the request has another form; `field` names where',
  403: "ERR_FORBIDDEN: the caller is not the agent's principal; ERR_PROOF: a signature or proof does not hold",
  404: 'ERR_NOT_FOUND: the agent has no pact, or the session is unknown or closed: open another',
  413: 'ERR_REQUEST: the body is too large',
  429: 'Too many requests of all agents together; ask again later',
  503: 'ERR_UNAVAILABLE: ask again',
};

/** The agent API as OpenAPI 3.1, published as docs/agent-api.openapi.json. */
export function agentOpenApi(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path, key } of [...AGENT_ROUTES, ...ISSUING_ROUTES]) {
    paths[path] = { ...paths[path], [method.toLowerCase()]: operationOf(path, OPERATIONS[key]) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Rekey agent API',
      version: REKEY_VERSION,
      summary: 'What agents and Rekey tell each other (docs/agents.md)',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      {
        url: 'https://{api}.execute-api.{region}.amazonaws.com',
        description: 'The output AgentApi of the stack rekey-<stage>-agents',
        variables: { api: { default: 'api-id' }, region: { default: 'eu-central-1' } },
      },
    ],
    security: [{ sigv4: [] }],
    paths,
    components: {
      schemas: { Problem: schemaOf(problem, 'output') },
      securitySchemes: {
        sigv4: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: 'AWS Signature Version 4, service execute-api',
          'x-amazon-apigateway-authtype': 'awsSigv4',
        },
      },
    },
  };
}

function operationOf(path: string, operation: Operation): object {
  const { id, summary, request, status, answer, refusals = {}, conditional } = operation;
  const ifNoneMatch = { name: 'If-None-Match', in: 'header', schema: { type: 'string' } };
  return {
    operationId: id,
    summary,
    parameters: [...parametersOf(path), ...(conditional === true ? [ifNoneMatch] : [])],
    ...(request === undefined
      ? {}
      : { requestBody: { required: true, content: json(schemaOf(request, 'input')) } }),
    responses: {
      [status]: {
        description: 'Done',
        ...(conditional === true ? { headers: { ETag: { schema: { type: 'string' } } } } : {}),
        content: json(schemaOf(answer, 'output')),
      },
      ...(conditional === true ? { 304: { description: 'Nothing has changed' } } : {}),
      ...Object.fromEntries(
        Object.entries({ ...REFUSALS, ...refusals }).map(([code, description]) => [
          code,
          { description, content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } } },
        ]),
      ),
    },
  };
}

function parametersOf(path: string): object[] {
  const schemas: Readonly<Record<string, object>> = {
    agent: schemaOf(agentName, 'input'),
    session: { type: 'string' },
  };
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: schemas[name] ?? {},
  }));
}

function json(schema: object): object {
  return { 'application/json': { schema } };
}

/** OpenAPI 3.1 takes JSON Schema as it is; the dialect stands once for the whole document. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}
