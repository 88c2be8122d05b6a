import type {
  APIGatewayProxyEventV2 as ApiEvent,
  APIGatewayProxyStructuredResultV2 as ApiResponse,
} from 'aws-lambda';
import { API_ROUTES, type RouteKey } from '../../shared/domain/access.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import { matchRoute } from '../http/match.ts';
import { actorOf, BodyTooLarge, callOf, pathOf } from '../http/request.ts';
import { json, notAllowed, problem } from '../http/response.ts';
import type { ControlServices, Route } from './route.ts';
import { audit } from './routes/audit.ts';
import { decommissionAgent } from './routes/decommission.ts';
import { diagnoseCredential, diagnoseDeployment } from './routes/diagnosis.ts';
import { inventory, list, plan, register, show } from './routes/credentials.ts';
import { revokeCertificate } from './routes/certificates.ts';
import { askForConsent, giveConsent } from './routes/consents.ts';
import { showEmergency, startEmergency } from './routes/emergencies.ts';
import { pause, unpause, unregister } from './routes/leave.ts';
import {
  applyFamily,
  diagnoseFamily,
  listFamilies,
  pauseFamily,
  refreshFamily,
  revokeFamily,
  showFamily,
  unpauseFamily,
  unregisterFamily,
} from './routes/families.ts';
import { trace } from './routes/forensics.ts';
import { impact } from './routes/impact.ts';
import { reportLeak } from './routes/leaks.ts';
import { applyPact, listPacts, showPact } from './routes/pacts.ts';
import { endSubscription, subscribe, subscriptions } from './routes/subscriptions.ts';
import { confirmRoot } from './routes/roots.ts';
import { approveSignal, denySignal, listHeld, sendSignals } from './routes/signals.ts';
import { rotateSelection } from './routes/staged.ts';
import { confirm, rollBack, rotate, showRotation } from './routes/rotations.ts';
import { uses } from './routes/uses.ts';

/** An answer, and the error behind it where Rekey didn't raise it on purpose: for the log only. */
export interface Handled {
  readonly response: ApiResponse;
  readonly actor: string;
  readonly unexpected?: unknown;
}

/** What each route of the API does. */
const ROUTES: Readonly<Record<RouteKey, Route>> = {
  'POST /v1/credentials': register,
  'GET /v1/credentials': list,
  'GET /v1/credentials/{name}': show,
  'POST /v1/credentials/{name}/pause': pause,
  'POST /v1/credentials/{name}/unpause': unpause,
  'POST /v1/credentials/{name}/unregister': unregister,
  'POST /v1/credentials/{name}/confirmations': confirmRoot,
  'GET /v1/credentials/{name}/impact': impact,
  'GET /v1/credentials/{name}/uses': uses,
  'GET /v1/credentials/{name}/incidents/{incident}': trace,
  'POST /v1/credentials/{name}/rotations': rotate,
  'GET /v1/credentials/{name}/rotations/{id}': showRotation,
  'POST /v1/credentials/{name}/rotations/{id}/rollback': rollBack,
  'POST /v1/credentials/{name}/rotations/{id}/confirmations': confirm,
  'POST /v1/families/{name}/consent-requests': askForConsent,
  'POST /v1/families/{name}/consents': giveConsent,
  'POST /v1/credentials/{name}/certificates/{serial}/revoke': revokeCertificate,
  'POST /v1/rotations': rotateSelection,
  'POST /v1/agents/{agent}/decommission': decommissionAgent,
  'POST /v1/emergencies': startEmergency,
  'GET /v1/emergencies/{id}': showEmergency,
  'POST /v1/leaks': reportLeak,
  'POST /v1/signals': sendSignals,
  'GET /v1/held-signals': listHeld,
  'POST /v1/held-signals/{id}/approvals': approveSignal,
  'POST /v1/held-signals/{id}/denials': denySignal,
  'GET /v1/pacts': listPacts,
  'POST /v1/pacts': applyPact,
  'GET /v1/pacts/{agent}': showPact,
  'GET /v1/families': listFamilies,
  'POST /v1/families': applyFamily,
  'GET /v1/families/{name}': showFamily,
  'GET /v1/families/{name}/diagnosis': diagnoseFamily,
  'POST /v1/families/{name}/refreshes': refreshFamily,
  'POST /v1/families/{name}/revocations': revokeFamily,
  'POST /v1/families/{name}/pause': pauseFamily,
  'POST /v1/families/{name}/unpause': unpauseFamily,
  'POST /v1/families/{name}/unregister': unregisterFamily,
  'GET /v1/plan': plan,
  'GET /v1/inventory': inventory,
  'GET /v1/subscriptions': subscriptions,
  'POST /v1/subscriptions': subscribe,
  'POST /v1/subscriptions/{id}/end': endSubscription,
  'GET /v1/audit': audit,
  'GET /v1/diagnosis': diagnoseDeployment,
  'GET /v1/credentials/{name}/diagnosis': diagnoseCredential,
};

/** Answers one request. Never throws: every error becomes a problem document. */
export async function answer(event: ApiEvent, services: ControlServices): Promise<Handled> {
  const actor = actorOf(event);
  try {
    const { method } = event.requestContext.http;
    const found = matchRoute(API_ROUTES, method, pathOf(event));
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
