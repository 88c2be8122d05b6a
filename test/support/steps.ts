import { randomUUID } from 'node:crypto';
import type { EngineCase } from './engine-world.ts';

/** The four steps of Secrets Manager, in their order. */
export const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;

/**
 * RotateSecret makes the version empty; the steps of its token are then the test's to call. Whoever asks the service for that
 * token again joins what is under way, as in AWS: the lifecycle does, where it comes before createSecret has begun.
 */
export async function rotateByHand(one: EngineCase): Promise<string> {
  const { stack, aws } = one.world;
  const { functions } = stack.gateway;
  const real = functions.get(one.functionArn);
  const token = randomUUID();
  functions.set(one.functionArn, async (event) =>
    event.ClientRequestToken === token ? undefined : real?.(event),
  );
  await aws.json('secretsmanager', 'RotateSecret', { SecretId: one.secret, ClientRequestToken: token });
  await one.still();
  return token;
}

/** Calls a step; its failure is an answer like any other. */
export function attempt(one: EngineCase, step: string, token: string): Promise<string> {
  return one.time.work(() =>
    one.step(step, token).then(
      () => 'done',
      (error: Error) => error.name,
    ),
  );
}
