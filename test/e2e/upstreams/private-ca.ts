import { agentRole } from '../../../local/demo/agent.ts';
import { directoryUrl } from '../../../local/demo/directory.ts';
import type { World } from '../../../local/demo/world.ts';
import type { PrivateCaMaterial } from '../../../shared/providers/private-ca/material.ts';
import { leafWithKey } from '../../contract/cases/private-ca.ts';
import { opensslTakes } from '../../contract/cases/x509.ts';
import { FakePrivateCa } from '../../fakes/private-ca.ts';
import { identity } from './identities.ts';
import type { PlayedUpstream } from './played.ts';

/** More than all tests together take. */
const AUTHORITIES = 16;
const SET = 'shop-pca';

/**
 * Authorities of AWS Private CA, which its fake plays behind the gateway: deployed functions call it under the name of AWS. openssl
 * is the verifier.
 */
export async function privateAuthorities(world: World): Promise<PlayedUpstream> {
  const fake = await FakePrivateCa.start();
  world.stack.gateway.services.set('acm-pca', fake);
  const tells = { crl: true, ocsp: false };
  const made = await Promise.all(Array.from({ length: AUTHORITIES }, async () => fake.add({ tells })));
  const authorities = await identity(world, {
    key: 'certificate-authority/private-ca',
    kind: 'bundles',
    target: {
      name: SET,
      trustDomain: 'pca.shop.example',
      leafSeconds: 10,
      authorities: made.map(({ arn }) => arn),
    },
    soak: '11s',
    takes: async (secret) =>
      leafWithKey(fake, JSON.parse(secret) as PrivateCaMaterial).then(
        async ({ cert }) => opensslTakes(directoryUrl(world), SET, cert),
        () => false,
      ),
  });
  return {
    ...authorities,
    principal: await agentRole(world, 'shop-pca'),
    listOf: async (secret) => fake.list((JSON.parse(secret) as PrivateCaMaterial).authorityArn),
    [Symbol.asyncDispose]: async () => {
      // What it was asked by deployed functions is held against AWS's own description.
      const { violations } = fake;
      await Promise.all([authorities[Symbol.asyncDispose](), fake[Symbol.asyncDispose]()]);
      if (violations.length > 0) throw new Error(`not as AWS has it: ${violations.join('; ')}`);
    },
  };
}
