import { BELIEFS, type BeliefId, type Finding } from './beliefs.ts';
import { ROTATIONS } from './rotations.ts';
import type { Pace, Scenario, Scene } from './scenario.ts';
import { Stage, type Place } from './stage.ts';
import { VALUES } from './values.ts';

/** What a run found, in the order of `BELIEFS`, and what it could not remove. */
export interface Report {
  readonly findings: readonly Finding[];
  readonly left: readonly string[];
}

/** What a run needs. Endpoint, credentials and region are the SDK's own: environment, profile. */
export interface Run {
  readonly place: Place;
  readonly pace: Pace;
  /** Ends the run early; what was made is removed all the same. */
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

/** Makes throw-away resources, looks at every belief, removes them. */
export async function verify({ place, pace, signal, tell }: Run): Promise<Report> {
  const stage = new Stage(place, signal);
  const findings = new Map<BeliefId, Finding>();
  let left: readonly string[] = [];
  try {
    tell(`making ${stage.name}: a role, a queue, a function, secrets`);
    await stage.build();
    const see: Scene['see'] = (id, holds, seen) => {
      const outcome = holds === undefined ? 'not observed in time' : holds ? 'holds' : 'differs';
      findings.set(id, { id, ...BELIEFS[id], outcome, seen });
      tell(`${outcome}: ${id} (${seen})`);
    };
    const scene: Scene = { stage, pace, signal, see };
    // Side by side: each has secrets of its own, and most of their time is waiting.
    await Promise.all([...VALUES, ...ROTATIONS].map((scenario) => play(scenario, scene, findings)));
    signal.throwIfAborted();
  } finally {
    tell('removing what was made');
    left = await stage.tearDown();
    for (const what of left) tell(`NOT REMOVED: ${what}`);
  }
  const ids = Object.keys(BELIEFS) as BeliefId[];
  return { findings: ids.flatMap((id) => findings.get(id) ?? []), left };
}

/** One scenario; where it breaks off, nothing is said about what it had not looked at. */
async function play(
  { beliefs, run }: Scenario,
  scene: Scene,
  findings: ReadonlyMap<BeliefId, Finding>,
): Promise<void> {
  let why = 'the probe was not called';
  try {
    await run(scene);
  } catch (error) {
    if (scene.signal.aborted) return;
    why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  for (const id of beliefs) if (!findings.has(id)) scene.see(id, undefined, why);
}
