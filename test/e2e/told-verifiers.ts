import { setTimeout as sleep } from 'node:timers/promises';
import { CreateQueueCommand, GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { importJWK, jwtVerify, SignJWT } from 'jose';
import { queueNotices } from '../../client/src/queue.ts';
import { sqsQueue } from '../../client/src/sqs.ts';
import { createPublishedKeys } from '../../client/src/verify.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import { directoryUrl } from '../../local/demo/directory.ts';
import type { World } from '../../local/demo/world.ts';
import type { JwksMaterial } from '../../shared/providers/jwks/material.ts';

/** A verifier that would believe for an hour what it has read, and is told of emergencies over a queue of its fleet. */
export interface ToldVerifiers extends AsyncDisposable {
  /** Takes what a key signs; from here on it has the set in its memory. */
  take(secret: string): Promise<void>;
  /** @throws where it still takes what that key signs after `ms` */
  refuses(ms: number): Promise<void>;
}

/** Subscribes it to the fleet of a credential, as an operator does. */
export async function toldVerifiers(world: World, credential: string): Promise<ToldVerifiers> {
  const sqs = new SQSClient(world.stack.clientConfig);
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'verifiers' }));
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  await rekeyJson(['subscribe', `${credential}-agents`, '--to', Attributes?.QueueArn ?? ''], world.env);
  const keys = createPublishedKeys({
    directory: directoryUrl(world),
    set: 'shop-agents',
    fetch: async (...request) => {
      const { status, headers, ...answer } = await fetch(...request).then(async (got) => ({
        status: got.status,
        headers: got.headers,
        text: await got.text(),
      }));
      const patient = new Headers(headers);
      patient.set('cache-control', 'public, max-age=3600');
      return new Response(status === 304 ? null : answer.text, { status, headers: patient });
    },
  });
  const reading = queueNotices({
    ...sqsQueue(sqs, QueueUrl),
    credentials: {},
    verifiers: { [credential]: keys },
  });
  let leaked = '';
  const verified = async (): Promise<unknown> => {
    const { issuer, alg, jwk } = JSON.parse(leaked) as JwksMaterial;
    const token = await new SignJWT({ sub: 'leaked' })
      .setProtectedHeader({ alg, kid: jwk.kid })
      .setIssuer(issuer)
      .setExpirationTime('1m')
      .sign(await importJWK(jwk, alg));
    return jwtVerify(token, keys, { issuer, algorithms: [alg] });
  };
  return {
    take: async (secret) => {
      leaked = secret;
      await verified();
    },
    refuses: async (ms) => {
      const until = performance.now() + ms;
      for (;;) {
        const refused = await verified().then(
          () => false,
          () => true,
        );
        if (refused) return;
        if (performance.now() > until) throw new Error(`a verifier still takes a revoked key after ${ms} ms`);
        await sleep(100);
      }
    },
    [Symbol.asyncDispose]: async () => {
      await reading[Symbol.asyncDispose]();
      sqs.destroy();
    },
  };
}
