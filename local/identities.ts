import { writeDeclaration } from './demo/declaration.ts';
import { directoryUrl } from './demo/directory.ts';
import type { World } from './demo/world.ts';

/** Long enough to look at both; only the local stage allows so little. */
const TIMES = { cacheSeconds: 5, clockSkewSeconds: 0 };
const POLICY = {
  interval: '1d',
  window: '10s',
  deadline: '90s',
  cap: '5m',
  soak: '20s',
  evidenceOfUse: 'holders',
};

/**
 * What `npm run local -- --identities` has beside databases: declares one identity of each kind, and says what to type.
 * @param principal The role of an agent, which gets certificates.
 */
export async function localIdentities(world: World, principal: string): Promise<readonly string[]> {
  const { dir, stack } = world;
  const common = (name: string) => ({ name, secret: `agents/${name}`, policy: POLICY });
  const holder = { kind: 'polling', ttl: '2s' };
  const file = await writeDeclaration(
    dir,
    [
      {
        ...common('agent-signing'),
        type: 'signing-key',
        provider: 'jwks',
        target: {
          name: 'shop-agents',
          issuer: 'https://agents.shop.example',
          tokenLifetimeSeconds: 10,
          ...TIMES,
        },
        holders: [{ ...holder, name: 'shop-agents' }],
      },
      {
        ...common('shop-token'),
        type: 'agent-token',
        provider: 'opaque',
        target: {
          name: 'shop-agent',
          agent: 'shop',
          audience: 'orders',
          scopes: ['orders:read'],
          ...TIMES,
        },
        holders: [{ ...holder, name: 'shop' }],
      },
      {
        ...common('shop-ca'),
        type: 'certificate-authority',
        provider: 'x509',
        target: { name: 'shop', trustDomain: 'agents.shop.example', leafSeconds: 10, ...TIMES },
        holders: [{ ...holder, name: 'checkout', principal }],
      },
    ],
    'identities.yaml',
  );
  const url = directoryUrl(world);
  const signed = `curl -s --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" --aws-sigv4 "aws:amz:${stack.region}:execute-api"`;
  return [
    `Identities, whose upstream Rekey itself is. Their directory, where verifiers look, is ${url}.`,
    'Verifiers may keep what they have read for 5 seconds here: a rotation sooner than that after apply or another one is refused.',
    '',
    `  npx rekey apply -f ${file}`,
    `  curl -s ${url}/jwks/shop-agents    # the key that signs, and the one that comes next`,
    `  curl -s ${url}/bundles/shop    # the same of the authority`,
    `  ${signed} ${url}/tokens/shop-agent    # digests of tokens`,
    '  npx rekey rotate agent-signing --wait    # then look at the keys again: what came next signs',
    '  npx rekey rotate shop-token --wait',
    '  npx rekey rotate shop-ca --wait',
    '  npx rekey show agent-signing',
    '  npx rekey revoke agent-signing --incident INC-3 --reason "seen in a log" --wait',
    '',
  ];
}
