import { canSuspend } from '../../shared/domain/capabilities.ts';

/** Signals of one source may revoke one key an hour here, whose agents they may halt: the second one waits for people. */
export const CAPS = { maxCredentials: 1, maxAgents: 400, breakGlassMinutes: 30 };

/** The setting `signals.maxAgents` where nobody sets it. */
export const USUAL_AGENTS = 50;

/** What the changed caps do for a key that so many agents hold, and what would be without it. */
export function aboutCaps(
  agents: number,
  key: { readonly type: string; readonly provider: string },
): string[] {
  const meanwhile = canSuspend(key)
    ? 'it would be suspended until they have decided'
    : `the leaked key would WORK until they approve: ${key.provider} can't suspend one`;
  return [
    `the cap signals.maxAgents is raised here from ${USUAL_AGENTS} to ${CAPS.maxAgents}: this source may halt the ${agents} without asking`,
    `at the default this would be held for two people, and ${meanwhile}`,
    `the cap signals.maxCredentials is ${CAPS.maxCredentials} here, 3 by default, so that there is something to decide`,
  ];
}
