import type { Settings } from './config.ts';

/** How much a signal does without a person, as the functions read it (shared/domain/signals/decide.ts). */
export function policyOf({ signals }: Settings): string {
  const { breakGlassMinutes, maxCredentials, maxAgents, perHour, suspendHeld } = signals;
  const breakGlassSeconds = breakGlassMinutes * 60;
  return JSON.stringify({ maxCredentials, maxAgents, perHour, suspendHeld, breakGlassSeconds });
}
