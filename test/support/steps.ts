import { randomUUID } from 'node:crypto';
import type { EngineCase } from './engine-world.ts';

/** The four steps of Secrets Manager, in their order. */
export const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;

/** RotateSecret makes the version empty; then its function is called, which here does nothing. */
export async function rotateByHand(one: EngineCase): Promise<string> {
  const { stack, aws } = one.world;
  const { functions } = stack.gateway;
  const real = functions.get(one.functionArn);
  functions.set(one.functionArn, async () => undefined);
  const token = randomUUID();
  await aws.json('secretsmanager', 'RotateSecret', { SecretId: one.secret, ClientRequestToken: token });
  await one.still();
  if (real !== undefined) functions.set(one.functionArn, real);
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
