import type { Credential } from '../domain/credential.ts';
import { isRekeyError, type RekeyError } from '../domain/errors.ts';
import { endedBy } from '../domain/knowledge.ts';
import type { Rotation, Trigger } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';
import { eachOf } from './each.ts';
import { dependantsUnderWay } from './order.ts';
import { requestRotation } from './requests.ts';
import { refusalsNow } from './start.ts';

/** Rotations that are started beside each other. */
const AT_ONCE = 20;

/** A credential that values are to be taken out of use of. */
export interface Affected {
  readonly credential: Credential;
  /** The one under way. */
  readonly rotation?: Rotation | undefined;
  /** The values that are to die, by the version of the secret; at least one works. */
  readonly versions: readonly string[];
}

/** What is to be done about it. */
export type Step =
  | { readonly act: 'start' }
  /** One under way ends all of these values. */
  | { readonly act: 'joined'; readonly rotation: string }
  /** Not now: the same order does it once what is in the way is over. */
  | { readonly act: 'refused'; readonly text: string; readonly remedy?: string | undefined }
  /** Rekey can't: a person does it. */
  | { readonly act: 'by-hand'; readonly text: string; readonly remedy?: string | undefined };

/** What has become of it; a rotation that was started has its id. */
export type Done =
  Step | { readonly act: 'started'; readonly rotation: string; readonly beside: readonly string[] };

/** An order to rotate many credentials, each with planning and a window of its own. */
export interface StagedOrder<A extends Affected> {
  /** In the order in which they begin. */
  readonly affected: readonly A[];
  readonly trigger: Trigger;
  /** What the operators call it; stands in the records of each. */
  readonly incidentId: string;
  readonly dryRun: boolean;
  /** Nothing is started after that: the same order goes on. */
  readonly until: number;
}

/** What is to be done so that values of a credential die. Pure. */
export function stepFor({ credential, rotation, versions }: Affected, now: number): Step {
  const { name, current, mode, byHand } = credential;
  const left = versions.filter((version) => version !== endedBy(rotation));
  if (rotation !== undefined && left.length === 0) return { act: 'joined', rotation: rotation.id };
  if (current === undefined || !left.includes(current.versionId)) {
    return {
      act: 'by-hand',
      text: 'what they know is an older value, which was kept, and no rotation ends it',
      remedy: `\`rekey show ${name}\` has what a person types; \`rekey revoke ${name}\` ends all of it`,
    };
  }
  const [refusal] = refusalsNow(credential, rotation, now);
  if (refusal === undefined) return { act: 'start' };
  const { message: text, remedy } = refusal;
  return mode === 'observe'
    ? { act: 'by-hand', text, remedy: byHand ?? remedy }
    : { act: 'refused', text, remedy };
}

/**
 * Starts a staged rotation of each that needs one and joins what is under way; none waits for another, and one that is refused
 * keeps none from beginning. Twice the same starts nothing twice. `left` have had no turn in the time: the same order goes on.
 */
export async function rotateAll<A extends Affected>(
  deps: EngineDeps,
  { affected, ...order }: StagedOrder<A>,
): Promise<{ readonly done: readonly { readonly of: A; readonly done: Done }[]; readonly left: number }> {
  // Read once for all of them: each by itself would read all that is under way.
  const dependants = dependantsUnderWay(deps);
  const planned = affected.map((of) => ({ of, step: stepFor(of, deps.clock()) }));
  // What was begun before has its turn last, so that it takes nobody's.
  const inTurn = planned.toSorted((a, b) => Number(a.step.act !== 'start') - Number(b.step.act !== 'start'));
  const answers = await eachOf(inTurn, AT_ONCE, async ({ of, step }) => {
    const begins = step.act === 'start' || isAnnounced(of, step);
    if (order.dryRun || !begins) return [{ of, done: step }];
    if (deps.clock() < order.until)
      return [{ of, done: await begin({ ...deps, dependants }, of, step, order) }];
    return step.act === 'start' ? [] : [{ of, done: step }];
  });
  const done = answers.flat();
  return { done, left: affected.length - done.length };
}

/** What was announced may never have begun: its caller may have died, and asking again helps it. */
function isAnnounced({ rotation }: Affected, { act }: Step): boolean {
  return act === 'joined' && rotation?.phase === 'announced';
}

async function begin(
  deps: EngineDeps & { readonly dependants: ReturnType<typeof dependantsUnderWay> },
  of: Affected,
  step: Step,
  { trigger, incidentId }: Pick<StagedOrder<Affected>, 'trigger' | 'incidentId'>,
): Promise<Done> {
  const { id: name } = of.credential;
  const token = step.act === 'joined' ? step.rotation : deps.newId();
  try {
    const { rotation, joined, beside } = await requestRotation(deps, { name, token, trigger, incidentId });
    return joined
      ? { act: 'joined', rotation: rotation.id }
      : { act: 'started', rotation: rotation.id, beside };
  } catch (error) {
    if (!isRekeyError(error)) throw error;
    return overtaken(deps, of, error);
  }
}

/** Somebody else was faster: what stands there now may be what is wanted. */
async function overtaken(
  deps: EngineDeps,
  { credential, versions }: Affected,
  error: RekeyError,
): Promise<Done> {
  const now = await deps.ledger.credential(credential.id);
  const { activeRotation } = now ?? {};
  const rotation =
    activeRotation === undefined ? undefined : await deps.ledger.rotation(credential.id, activeRotation);
  const step = stepFor({ credential: now ?? credential, rotation, versions }, deps.clock());
  return step.act === 'joined' ? step : { act: 'refused', text: error.message, remedy: error.remedy };
}
