import * as z from 'zod';
import { fromInstant, type Instant } from './clock.ts';
import type { Credential } from './credential.ts';
import { knownFrom } from './directory.ts';
import { RekeyError } from './errors.ts';
import { IDENTITY_TYPES } from '../names.ts';

/** What the target of every identity says of its verifiers. */
const verifierTimes = z.object({ cacheSeconds: z.number(), clockSkewSeconds: z.number() });

/**
 * From when on an identity may rotate, as far as the ledger knows: what comes next was published with what is current, at the
 * latest when that was stored. Undefined of everything else.
 */
function takeableFrom({ type, current, target }: Pick<Credential, 'type' | 'current' | 'target'>) {
  if (current === undefined || !IDENTITY_TYPES.some((each) => each === type)) return undefined;
  const { data } = verifierTimes.safeParse(target);
  if (data === undefined) return undefined;
  return knownFrom(current.issuedAt, {
    cacheSeconds: data.cacheSeconds,
    skewSeconds: data.clockSkewSeconds,
  });
}

/**
 * Refuses a rotation whose steps would begin before verifiers know what it takes: nobody has to wait for it to fail.
 * @throws RekeyError ERR_ROTATION_UNDER_WAY, with from when on it is possible
 */
export function assertTakeable(
  credential: Pick<Credential, 'name' | 'type' | 'current' | 'target'>,
  begins: Instant,
): void {
  const from = takeableFrom(credential);
  if (from === undefined || fromInstant(begins) >= fromInstant(from)) return;
  throw new RekeyError(
    'ERR_ROTATION_UNDER_WAY',
    `${credential.name} can't rotate now: its verifiers know what comes next from ${from}`,
    {
      remedy:
        'wait until then: target.cacheSeconds and target.clockSkewSeconds after it was registered, rotated or replaced; an emergency waits for nothing',
    },
  );
}
