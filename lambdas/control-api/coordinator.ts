import type { FamilyEntry } from '../../shared/domain/declaration.ts';
import type { Check } from '../../shared/domain/diagnosis.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Family } from '../../shared/domain/families.ts';
import type { Trigger } from '../../shared/domain/rotation.ts';
import type { FamilyLeft, FamilyPaused } from '../../shared/engine/families/leave.ts';
import type { FamilyApplied } from '../../shared/engine/families/register.ts';
import { ENV } from '../../shared/names.ts';
import { optionalSetting } from '../compose.ts';
import type { ControlServices } from './route.ts';

interface Ref {
  readonly name: string;
  readonly trigger: Trigger;
}

/** What the function does that alone may read and write the tokens of families. */
export interface Coordinator {
  apply(request: { declaration: FamilyEntry; trigger: Trigger; dryRun: boolean }): Promise<FamilyApplied>;
  refresh(request: Ref): Promise<{ family: Family }>;
  revoke(request: Ref & { incidentId: string }): Promise<{ family: Family }>;
  pause(request: Ref): Promise<FamilyPaused>;
  unpause(request: Ref): Promise<FamilyPaused>;
  unregister(request: Ref & { dryRun: boolean }): Promise<FamilyLeft>;
  diagnose(name: string): Promise<{ checks: readonly Check[] }>;
}

/** The coordinator by its function; a deployment without families refuses with what to do. */
export function coordinatorBy(
  ask: <T extends object>(functionArn: string, request: object) => Promise<T>,
): Pick<ControlServices, 'coordinator' | 'askForConsent' | 'connectFamily'> {
  const call = async <T extends object>(action: string, request: object): Promise<T> => {
    const functionArn = optionalSetting(ENV.refreshFamilies);
    if (functionArn === undefined) throw notDeployed();
    return ask<T>(functionArn, { action, ...request });
  };
  return {
    askForConsent: (request) => call('ask-for-consent', request),
    connectFamily: (request) => call('connect', request),
    coordinator: {
      apply: (request) => call('apply', request),
      refresh: (request) => call('refresh', request),
      revoke: (request) => call('revoke', request),
      pause: (request) => call('pause', request),
      unpause: (request) => call('unpause', request),
      unregister: (request) => call('unregister', request),
      diagnose: (name) => call('diagnose', { name }),
    },
  };
}

function notDeployed(): RekeyError {
  return new RekeyError('ERR_DECLARATION', 'this deployment has no token families', {
    field: 'families',
    remedy: 'set families: true in its settings, and deploy (docs/oauth.md)',
  });
}
