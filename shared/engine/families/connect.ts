import { RekeyError } from '../../domain/errors.ts';
import type { Family } from '../../domain/families.ts';
import type { Trigger } from '../../domain/rotation.ts';
import type { ConsentGiven } from '../../ports/authorization-server.ts';
import { attemptNow } from './attempt.ts';
import { familyNamed, type FamilyDeps } from './deps.ts';
import { tend } from './tend.ts';

/** Milliseconds between two looks whether somebody else is done. */
const PAUSE_MS = 1000;

/** Whoever asked hears nothing more after 26 seconds: a wait for a refresh under way must leave time for the exchange. */
const PATIENCE_MS = 10_000;

/**
 * The tokens of a consent become the family's: of a first one, or of one in the place of a family that works, which stays as it
 * is until then. A client that acts for itself needs no person: it gets its token now.
 * @throws RekeyError ERR_REQUEST, ERR_CONFLICT, ERR_POLICY, and whatever the server refuses
 */
export async function connectFamily(
  deps: FamilyDeps,
  { name, consent, trigger }: { name: string; consent?: ConsentGiven | undefined; trigger: Trigger },
): Promise<Family> {
  const until = deps.clock() + PATIENCE_MS;
  for (;;) {
    const family = await familyNamed(deps, name);
    assertFits(family, consent);
    if (isFree(family)) {
      const beginning =
        consent === undefined
          ? ({ kind: 'own', trigger } as const)
          : ({ kind: 'consent', trigger, consent } as const);
      const done = await attemptNow(deps, family, beginning);
      if (done.outcome === 'refreshed') return done.family;
      if (done.outcome === 'failed') throw done.error;
    } else await tend(deps, family.id);
    if (deps.clock() >= until) throw underWay(family);
    if (!isFree(await familyNamed(deps, name))) await deps.pause(PAUSE_MS);
  }
}

function isFree({ attempt, incident }: Family): boolean {
  return attempt === undefined && (incident === undefined || incident.pending.length === 0);
}

function assertFits({ name, terms, provisioned }: Family, consent: ConsentGiven | undefined): void {
  if (!provisioned) {
    throw new RekeyError('ERR_CONFLICT', `the registration of ${name} is not complete`, {
      field: 'name',
      remedy: 'apply its entry again',
    });
  }
  const isWanted = terms.grant === 'authorization_code';
  if (isWanted === (consent !== undefined)) return;
  throw new RekeyError(
    'ERR_REQUEST',
    isWanted ? `${name} needs the consent of a person` : `${name} is a client that acts for itself`,
    { field: 'code', remedy: `run \`rekey connect ${name}\`, which knows what it needs` },
  );
}

function underWay({ name, incident }: Family): RekeyError {
  return incident === undefined
    ? new RekeyError('ERR_CONFLICT', `${name} is being refreshed by somebody else`, {
        remedy: `connect again in two minutes: \`rekey show ${name}\` says whether that one is done`,
      })
    : new RekeyError('ERR_CONFLICT', `an emergency of ${name} is not complete`, {
        remedy: `\`rekey show ${name}\` has what is still to be revoked; then connect again`,
      });
}
