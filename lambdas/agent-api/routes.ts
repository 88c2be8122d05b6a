import { createHash } from 'node:crypto';
import type {
  APIGatewayProxyEventV2 as ApiEvent,
  APIGatewayProxyStructuredResultV2 as ApiResponse,
} from 'aws-lambda';
import { MAX_AGENT_BODY_BYTES } from '../../shared/api/agent-messages.ts';
import { AGENT_ROUTES, type AgentRouteKey } from '../../shared/domain/agent-routes.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import type { AgentDeps } from '../../shared/engine/agents/deps.ts';
import { matchRoute } from '../http/match.ts';
import { actorOf, BodyTooLarge, callOf, pathOf, type Call } from '../http/request.ts';
import { json, notAllowed, problem } from '../http/response.ts';
import type { Done, Route } from './route.ts';
import { acknowledge, challenge } from './routes/acknowledgements.ts';
import { registerPact } from './routes/pacts.ts';
import { close, heartbeat, notices, open, reportUses } from './routes/sessions.ts';

/** An answer; the code of a refusal, and the error behind what Rekey didn't raise on purpose: for the log only. */
export interface Handled {
  readonly response: ApiResponse;
  readonly actor: string;
  readonly refusal?: string;
  readonly unexpected?: unknown;
}

/** What each route of the API does. */
const ROUTES: Readonly<Record<AgentRouteKey, Route>> = {
  'PUT /agents/{agent}/pact': registerPact,
  'POST /agents/{agent}/sessions': open,
  'POST /agents/{agent}/sessions/{session}/heartbeat': heartbeat,
  'GET /agents/{agent}/sessions/{session}/notices': notices,
  'POST /agents/{agent}/sessions/{session}/challenges': challenge,
  'POST /agents/{agent}/sessions/{session}/acknowledgements': acknowledge,
  'POST /agents/{agent}/sessions/{session}/uses': reportUses,
  'POST /agents/{agent}/sessions/{session}/close': close,
};

/** Seconds after which an agent asks again whether the gap between its sessions is its own. */
const GAP_RETRY_SECONDS = 5;

/** Answers one request. Never throws: every error becomes a problem document. */
export async function answer(event: ApiEvent, deps: AgentDeps): Promise<Handled> {
  const actor = actorOf(event) ?? '';
  try {
    const { method } = event.requestContext.http;
    const found = matchRoute(AGENT_ROUTES, method, pathOf(event));
    if (found === undefined) throw new RekeyError('ERR_NOT_FOUND', 'there is no such route');
    if (found.route === undefined) return { actor, response: notAllowed(method, found.methods) };
    if (actor === '') {
      throw new RekeyError('ERR_FORBIDDEN', 'the request carries no caller', {
        remedy: 'sign the request with AWS Signature Version 4 (service execute-api)',
      });
    }
    const call = callOf(event, actor, found.params, MAX_AGENT_BODY_BYTES);
    return { actor, response: responseOf(call, await ROUTES[found.route](call, deps)) };
  } catch (error) {
    return {
      actor,
      response: refused(error),
      ...(isRekeyError(error) ? { refusal: error.code } : { unexpected: error }),
    };
  }
}

function responseOf(call: Call, { status, body, cacheable }: Done<unknown>): ApiResponse {
  const response = json(status, body);
  if (cacheable !== true) return response;
  const etag = `"${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}"`;
  // Ask again each time; a body is sent only where it has changed (RFC 9110, section 13.1.2).
  const headers = { ...response.headers, etag, 'cache-control': 'private, no-cache' };
  const known = (call.header('if-none-match') ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes(etag) ? { statusCode: 304, headers: { etag } } : { ...response, headers };
}

function refused(error: unknown): ApiResponse {
  const response = problem(error, error instanceof BodyTooLarge ? 413 : undefined);
  if (!isRekeyError(error, 'ERR_ROTATION_UNDER_WAY')) return response;
  return { ...response, headers: { ...response.headers, 'retry-after': String(GAP_RETRY_SECONDS) } };
}
