import type { Settings } from './config.ts';

/** How much a signal does without a person, as the functions read it (shared/domain/signals/decide.ts). */
export function policyOf({ signals }: Settings): string {
  const { maxCredentials, maxAgents, perHour, suspendHeld, breakGlassMinutes, unusual } = signals;
  return JSON.stringify({
    maxCredentials,
    maxAgents,
    perHour,
    suspendHeld,
    breakGlassSeconds: breakGlassMinutes * 60,
    ...(unusual === 'off' ? {} : { unusual }),
  });
}
