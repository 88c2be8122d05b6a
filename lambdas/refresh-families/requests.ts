import { parseFamily, familyTermsOf, type FamilyEntry } from '../../shared/domain/declaration.ts';
import type { Trigger } from '../../shared/domain/rotation.ts';
import { diagnoseFamily } from '../../shared/engine/families/diagnose.ts';
import { pauseFamily, unpauseFamily, unregisterFamily } from '../../shared/engine/families/leave.ts';
import { refreshNow } from '../../shared/engine/families/refresh-now.ts';
import { applyFamily } from '../../shared/engine/families/register.ts';
import { revokeFamily } from '../../shared/engine/families/revoke.ts';
import type { Parts } from './compose.ts';
import { answerConsent, type ConsentCall } from './consents.ts';

/** What `control-api` asks for; without an action it is the schedule. */
export type Request = { readonly action?: undefined } | Asked;

/** In the name of a person. */
export type Asked =
  | {
      readonly action: 'apply';
      readonly declaration: FamilyEntry;
      readonly trigger: Trigger;
      readonly dryRun: boolean;
    }
  | ConsentCall
  | { readonly action: 'refresh' | 'pause' | 'unpause'; readonly name: string; readonly trigger: Trigger }
  | {
      readonly action: 'revoke';
      readonly name: string;
      readonly incidentId: string;
      readonly trigger: Trigger;
    }
  | {
      readonly action: 'unregister';
      readonly name: string;
      readonly trigger: Trigger;
      readonly dryRun: boolean;
    }
  | { readonly action: 'diagnose'; readonly name: string };

/** Answers a request. @throws RekeyError where it is refused */
export async function answer({ deps, options }: Parts, request: Asked): Promise<object> {
  switch (request.action) {
    case 'apply': {
      const entry = parseFamily(request.declaration);
      return applyFamily(deps, options, { ...request, name: entry.name, terms: familyTermsOf(entry) });
    }
    case 'ask-for-consent':
    case 'connect':
      return answerConsent(deps, request);
    case 'refresh':
      return { family: await refreshNow(deps, request) };
    case 'revoke':
      return { family: await revokeFamily(deps, request) };
    case 'pause':
      return pauseFamily(deps, request);
    case 'unpause':
      return unpauseFamily(deps, request);
    case 'unregister':
      return unregisterFamily(deps, request);
    case 'diagnose':
      return { checks: await diagnoseFamily(deps, request.name) };
  }
}

/** The request in the log: a code is good for tokens. */
export function describe(request: Asked): Record<string, unknown> {
  const name = request.action === 'apply' ? request.declaration.name : request.name;
  return {
    action: request.action,
    name,
    ...('trigger' in request ? { actor: request.trigger.actor } : {}),
    ...('dryRun' in request ? { dryRun: request.dryRun } : {}),
  };
}
