import { leafTarget } from './bundle.ts';
import { dueOf, endsSoonFrom } from './calendar.ts';
import { capabilitiesOf } from './capabilities.ts';
import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import type { Credential } from './credential.ts';
import { bad, ok, type Check } from './diagnosis.ts';
import { durationText } from './duration.ts';
import { isTask } from './roots.ts';
import type { Rotation } from './rotation.ts';

/** For so long Rekey may be stopped, and nothing fails for want of it. */
const OUTAGE_SECONDS = 86_400;

/** What becomes of a credential while Rekey is stopped. */
export interface Outage {
  /** From when on somebody fails; absent where nobody does. */
  readonly failsAt?: Instant | undefined;
  /** In words: who fails and why, or why nobody does. */
  readonly why: string;
  /** What gives it longer, where that is no rotation. */
  readonly remedy?: string;
}

/** What fails of a credential, and when, if Rekey stops now. Pure. */
export function outageOf(credential: Credential, rotation: Rotation | undefined, now: number): Outage {
  const { status, current } = credential;
  if (status === 'halted') {
    return { failsAt: toInstant(now), why: 'its agents are halted until it is replaced' };
  }
  if (status !== 'active' || current === undefined) return { why: 'no agent has it yet' };
  const ends = [
    ofRotation(credential, rotation, now),
    ofItself(credential),
    ofLeaves(credential, now),
  ].flatMap((end) => end ?? []);
  const [first] = ends.toSorted((a, b) => fromInstant(a.failsAt) - fromInstant(b.failsAt));
  return first ?? { why: whyNot(credential) };
}

/** Whether it outlasts a day without Rekey. */
export function outageCheck(
  { name }: Pick<Credential, 'name'>,
  { failsAt, why, remedy: own }: Outage,
  now: number,
): Check {
  const about = 'without Rekey';
  if (failsAt === undefined) return ok('credential', about, why);
  const detail = `fails from ${failsAt} on: ${why}`;
  if (fromInstant(failsAt) >= now + OUTAGE_SECONDS * 1000) return ok('credential', about, detail);
  const remedy = own ?? `rekey show ${name} says what it waits for; a rotation that ends gives it a new life`;
  return bad('warn', 'credential', about, detail, remedy);
}

/** Whether it ends soon by itself, although it was to be rotated long before; nothing is said where it doesn't. */
export function endingCheck(
  credential: Pick<Credential, 'name' | 'status' | 'mode' | 'current'>,
  now: number,
): Check[] {
  const { name, current } = credential;
  const from = endsSoonFrom(credential);
  if (from === undefined || now < fromInstant(from)) return [];
  const detail = `it ends by itself at ${current?.endsAt}`;
  const remedy = `rekey rotate ${name}; rekey plan says why nothing has rotated it`;
  return [bad('warn', 'credential', 'end', detail, remedy)];
}

/** What would fail of many within a day, the first one first. */
export function outagesCheck(
  outages: readonly { readonly name: string; readonly outage: Outage }[],
  now: number,
): Check {
  const about = 'a day without Rekey';
  const until = plusSeconds(toInstant(now), OUTAGE_SECONDS);
  const failing = outages
    .flatMap(({ name, outage: { failsAt } }) =>
      failsAt !== undefined && failsAt < until ? [{ name, failsAt }] : [],
    )
    .toSorted((a, b) => (a.failsAt < b.failsAt ? -1 : 1));
  if (failing.length === 0) return ok('deployment', about, 'nothing fails');
  return bad(
    'warn',
    'deployment',
    about,
    failing.map(({ name, failsAt }) => `${name} from ${failsAt} on`).join('; '),
    'credentials say why at their line "without Rekey"; token families fail as their access token ends',
  );
}

interface End extends Outage {
  readonly failsAt: Instant;
}

/** What a rotation that stands still leaves its agents with. */
function ofRotation(
  { type, provider }: Credential,
  rotation: Rotation | undefined,
  now: number,
): End | undefined {
  const overlap = capabilitiesOf(type, provider)?.overlap;
  if (rotation === undefined || overlap === undefined) return undefined;
  const { phase, next, loser } = rotation;
  if (overlap.kind === 'none') {
    const cut =
      overlap.cutsAt === 'issue' ? ['issuing', 'activating', 'promoting'] : ['activating', 'promoting'];
    if (cut.includes(phase))
      return {
        failsAt: toInstant(now),
        why: 'the new one may have cut the old one off, and agents have the old one',
      };
  }
  if (overlap.kind === 'grace' && phase === 'window' && loser === 'old' && next !== undefined) {
    const failsAt = plusSeconds(next.issuedAt, overlap.seconds);
    return { failsAt, why: 'its upstream ends the old one: who has not read the new one by then fails' };
  }
  return undefined;
}

function ofItself({ current }: Credential): End | undefined {
  if (current?.endsAt === undefined) return undefined;
  return { failsAt: current.endsAt, why: 'it ends by itself, and nobody makes another' };
}

/** What a certificate authority's agents have left at least, since the function that issues to them is stopped as well. */
function ofLeaves({ type, target }: Credential, now: number): End | undefined {
  const { data } = type === 'certificate-authority' ? leafTarget.safeParse(target) : {};
  if (data === undefined) return undefined;
  const { leafSeconds } = data;
  const last = durationText(Math.floor(leafSeconds / 2));
  return {
    failsAt: toInstant(now + leafSeconds * 500),
    why: `certificates of agents live for ${durationText(leafSeconds)}, of which ${last} are left at least: nobody issues others`,
    remedy: 'where that must bear a day, declare an authority without target.leafSeconds, or with 172800',
  };
}

function whyNot(credential: Credential): string {
  const due = dueOf(credential)?.deadline;
  if (isTask(credential))
    return `nothing ends it, but its owner is not told that it is due${due === undefined ? '' : ` by ${due}`}`;
  return credential.mode === 'observe' ? 'Rekey only looks at it' : 'nothing ends it by itself';
}
