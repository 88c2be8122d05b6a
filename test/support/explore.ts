import { inParallel, type EngineCase, type EngineWorld } from './engine-world.ts';
import type { Calls, Fault, FaultMode } from './faulty.ts';

/** Where the stories' credentials come from. */
type Cases = Pick<EngineWorld, 'newCase'>;

/** A story that is told once per possible fault. */
export interface Scenario {
  readonly policy?: object;
  /** Beside the fleet that polls. */
  readonly holders?: readonly object[];
  /** How the case comes to be registered; as a database credential where nothing is said. */
  readonly register?: (one: EngineCase) => Promise<void>;
  /** Before the faults; a fresh case is registered already. */
  readonly prepare?: (one: EngineCase) => Promise<void>;
  /** What is done, up to the point at which nothing more happens by itself. */
  readonly act: (one: EngineCase) => Promise<void>;
  /** What must hold then, beyond `EngineCase.faults`. Returns what doesn't. */
  readonly also?: (one: EngineCase, fault: Fault | undefined) => Promise<string[]>;
}

export const MODES: readonly FaultMode[] = ['before', 'after', 'lost', 'throttled'];

/** Tells the story without a fault; the names of its side effects, and of all moments at which it may stand still. */
export async function dryRun(world: Cases, scenario: Scenario): Promise<Pick<Calls, 'labels' | 'moments'>> {
  const { calls, wrong } = await once(world, scenario, undefined);
  if (wrong.length > 0) throw new Error(`even without a fault: ${wrong.join('; ')}`);
  return calls;
}

/**
 * Tells the story once per side effect of the dry run, with that one going wrong in `mode`. Returns what was found
 * wrong afterwards, each with the fault that shows it.
 */
export async function everyFault(world: Cases, scenario: Scenario, mode: FaultMode): Promise<string[]> {
  const { labels } = await dryRun(world, scenario);
  const found: string[] = [];
  await inParallel(
    labels.map((label, index) => ({ label, at: index + 1 })),
    async ({ label, at }) => {
      const { wrong } = await once(world, scenario, { at, mode });
      for (const what of wrong) found.push(`${mode} call ${at} (${label}): ${what}`);
    },
  );
  return found;
}

async function once(
  world: Cases,
  scenario: Scenario,
  fault: Fault | undefined,
): Promise<{ calls: Calls; wrong: string[] }> {
  const one = world.newCase(scenario.policy, scenario.holders);
  try {
    await (scenario.register === undefined ? one.register() : scenario.register(one));
    await scenario.prepare?.(one);
    one.calls.arm(fault);
    await scenario.act(one);
    one.calls.disarm();
    const wrong = [...(await one.faults()), ...((await scenario.also?.(one, fault)) ?? [])];
    if (fault !== undefined && !one.calls.struck) wrong.push('the fault never came');
    return { calls: one.calls, wrong };
  } catch (error) {
    return { calls: one.calls, wrong: [String(error)] };
  }
}
