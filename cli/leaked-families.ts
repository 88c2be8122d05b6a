import type { FamilyLeak, LeakAnswer } from '../shared/api/messages.ts';
import type { Output } from './io.ts';
import { when } from './render.ts';

/** What is said of a family whose token was found. */
export function familyLines(out: Output, leak: FamilyLeak, { dryRun }: LeakAnswer): string[] {
  const { outcome, revocation, why = outcome, unrecorded } = leak;
  const said = aboutFamily(leak);
  switch (outcome) {
    case 'live':
      return [
        dryRun
          ? `${out.style('red', 'live')}: ${said}; its family would be revoked`
          : `${out.style('red', 'live → revoked')}: ${said}, with all of its family` +
            (revocation === 'revoked'
              ? '; its server has confirmed it'
              : '; its server has not confirmed it yet, and is asked again every few minutes'),
        ...(dryRun ? [] : [`  A person consents anew: rekey connect ${familyName(leak)}`]),
        ...(unrecorded === true
          ? ['  The audit trail did not take the report in time; the emergency has records of its own.']
          : []),
      ];
    case 'dead':
      return [`${out.style('green', 'already dead')}: ${said}: ${why}`];
    default:
      return [
        `${out.style('red', 'NOT CONFIRMED')}: ${said}; nobody could confirm that it is dead: ${why}`,
        ...(leak.family === undefined
          ? []
          : [
              `  Where it may still work: rekey revoke ${leak.family} --incident … --reason …, which ends the family.`,
            ]),
      ];
  }
}

/** A token that was found, and whose it is. */
export function aboutFamily(leak: FamilyLeak): string {
  const { token, givenAt, holders } = leak;
  const held = holders.length === 0 ? '' : `, held by ${holders.join(', ')}`;
  return `${familyName(leak)} (${token} token of ${when(givenAt)}${held})`;
}

/** The family, as far as it is known. */
export function familyName({ family, familyId }: FamilyLeak): string {
  return family ?? `the former family ${familyId}`;
}
