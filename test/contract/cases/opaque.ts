import { createHash } from 'node:crypto';
import { tokenOf } from '../../../shared/domain/agent-token.ts';
import {
  opaqueProvider,
  type OpaqueMaterial,
  type OpaqueTarget,
} from '../../../shared/providers/opaque/provider.ts';
import type { IdentityCase } from '../identity-harness.ts';

/** Whether both ways of asking accept a token; fails where they don't agree. */
export async function accepts(url: string, name: string, token: string): Promise<boolean> {
  const asked = await fetch(`${url}/introspect`, { method: 'POST', body: new URLSearchParams({ token }) });
  const { active } = (await asked.json()) as { active: boolean };
  const told = await fetch(`${url}/tokens/${name}`);
  const { tokens = [] } = (await told.json()) as { tokens?: { digest: string }[] };
  const digest = createHash('sha256').update(token).digest('base64url');
  const isListed = tokens.some((each) => each.digest === digest);
  if (isListed !== active) throw new Error(`introspection says ${active}, the digests say ${isListed}`);
  return active;
}

/** Tokens of an agent, asked for by plain fetch. */
export function opaqueCase(): IdentityCase<OpaqueTarget, OpaqueMaterial> {
  return {
    provider: opaqueProvider,
    kind: 'tokens',
    target: (name) => ({ name, agent: 'agent-1', audience: 'orders', scopes: ['orders:read'] }),
    takes: async (url, { name }, { token }) => accepts(url, name, token),
    wrong: ({ token }) => {
      const [, name = '', id = ''] = token.split('_');
      return { token: tokenOf(name, id, new Uint8Array(32)).reveal() };
    },
    other: ({ token }) => {
      const id = token.split('_')[2] ?? '';
      return { token: tokenOf('of-somebody-else', id, new Uint8Array(32)).reveal() };
    },
  };
}
