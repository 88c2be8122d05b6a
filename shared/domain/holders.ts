/** What every holder has, whatever its kind. */
interface Named {
  readonly name: string;
  /** How many instances share the credential; counts for the blast radius. */
  readonly agents?: number;
  /** ARN of the role or user that it reads the secret as: reads by anybody else are told apart (docs/holders.md). */
  readonly principal?: string;
}

/** Reads the secret again and again. */
export interface PollingHolder extends Named {
  readonly kind: 'polling';
  /** Longest time, in seconds, that the holder may keep a value after it has changed. */
  readonly ttlSeconds: number;
}

/** An ECS service into whose tasks the value is injected when they start: only a new task has the new one. */
export interface EcsRestartHolder extends Named {
  readonly kind: 'ecs-restart';
  readonly cluster: string;
  readonly service: string;
}

/** A Lambda function. Its sandboxes freeze, and timers with them, so that only an invocation tells how old a value is. */
export interface LambdaHolder extends Named {
  readonly kind: 'lambda';
  /** Name as its callers use it, with the alias where they use one: `orders:live`. */
  readonly function: string;
  /** The function asks the age of its value at each invocation; absent where it reads the value once per sandbox. */
  readonly ttlSeconds?: number;
}

/** Moves by hand; a person confirms it. */
export interface ManualHolder extends Named {
  readonly kind: 'manual';
}

/** An agent that tells Rekey what it holds and proves that it has moved (docs/agents.md). */
export interface ClientHolder extends Named {
  readonly kind: 'client';
  /** ARN of the role or user that it runs as: nobody else may speak for it. */
  readonly principal: string;
  /** Agents that are told together. Default: its own name. */
  readonly fleet?: string;
  /** It checks what others prove themselves with: it has no secret, and proves what it knows of the new one. */
  readonly verifies?: true;
}

/** Somebody who uses the credential, and by what kind of proof Rekey knows that they have moved. */
export type Holder = PollingHolder | EcsRestartHolder | LambdaHolder | ManualHolder | ClientHolder;

/** Every fleet, where an event can't name them: a rule of a fleet matches it as well. */
export const EVERY_FLEET = '*';

/** The fleets that holders belong to, each once: agents that are told together. Who declares none is a fleet alone. */
export function fleetsOf(holders: readonly Holder[]): string[] {
  return [
    ...new Set(
      holders.map((holder) => (holder.kind === 'client' ? (holder.fleet ?? holder.name) : holder.name)),
    ),
  ];
}

/** Twice the longest TTL among `holders`, in seconds (Z2: a 15-minute TTL takes 30 minutes, a 1-hour TTL two hours). */
export function requiredWindowSeconds(holders: readonly Holder[]): number {
  return 2 * Math.max(0, ...holders.map((holder) => ('ttlSeconds' in holder ? (holder.ttlSeconds ?? 0) : 0)));
}

/** Whether Rekey has to look elsewhere for a holder's proof: time, or a person, proves the others. */
export function needsLook(holder: Holder): holder is EcsRestartHolder | LambdaHolder {
  return holder.kind === 'ecs-restart' || (holder.kind === 'lambda' && holder.ttlSeconds === undefined);
}
