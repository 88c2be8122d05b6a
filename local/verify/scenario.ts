import { setTimeout as sleep } from 'node:timers/promises';
import type { BeliefId } from './beliefs.ts';
import type { ProbeCall } from './probe.ts';
import type { Stage } from './stage.ts';
import type { TrialSecret } from './trial-secret.ts';

/** How long things may take: in the service, or in the local gateway. */
export interface Pace {
  /** What must come is waited for this long. */
  readonly patienceSeconds: number;
  /** What must not come is watched for this long. */
  readonly quietSeconds: number;
  /** The probe stands still this long in a step, so that somebody can act meanwhile. */
  readonly holdSeconds: number;
}

/** What a scenario works with. */
export interface Scene {
  readonly stage: Stage;
  readonly pace: Pace;
  /** Aborted when all shall end. */
  readonly signal: AbortSignal;
  /** Holds a belief against what was seen; without `holds` it was not observed in time. */
  readonly see: (id: BeliefId, holds: boolean | undefined, seen: string) => void;
}

/** Looks at some beliefs, on secrets of its own. */
export interface Scenario {
  readonly name: string;
  readonly beliefs: readonly BeliefId[];
  readonly run: (scene: Scene) => Promise<void>;
}

/** The four steps, in order. */
export const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'];

/** The steps that were called, as text. */
export function stepsOf(calls: readonly ProbeCall[]): string {
  return calls.map(({ step }) => step).join(', ') || 'no step';
}

/** Waits for the calls about a token to be as wanted; undefined where they are not in time. */
export function untilCalls(
  { stage, pace, signal }: Scene,
  secret: TrialSecret,
  token: string | undefined,
  wanted: (calls: readonly ProbeCall[]) => boolean,
): Promise<readonly ProbeCall[] | undefined> {
  return stage.calls.until(secret.arn, token, wanted, { seconds: pace.patienceSeconds, signal });
}

/** Waits for `n` calls of a step. */
export function untilStep(
  scene: Scene,
  secret: TrialSecret,
  token: string,
  step: string,
  n = 1,
): Promise<readonly ProbeCall[] | undefined> {
  return untilCalls(scene, secret, token, (calls) => calls.filter((call) => call.step === step).length >= n);
}

/** Waits for the version of a token to be current: `finishSecret` was called a moment before. */
export async function untilCurrent(scene: Scene, secret: TrialSecret, token: string): Promise<boolean> {
  if ((await untilStep(scene, secret, token, 'finishSecret')) === undefined) return false;
  const { pace, signal } = scene;
  for (const end = Date.now() + pace.patienceSeconds * 1000; Date.now() < end; await pause(0.25, signal)) {
    if ((await secret.labelled({ token })).includes('AWSCURRENT token')) return true;
  }
  return false;
}

/** Waits, unless all shall end. */
export function pause(seconds: number, signal: AbortSignal): Promise<unknown> {
  return sleep(seconds * 1000, undefined, { signal });
}
