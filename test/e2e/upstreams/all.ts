import type { World } from '../../../local/demo/world.ts';
import type { ProviderKey } from '../../../shared/domain/capabilities.ts';
import { OAUTH_CLIENTS } from './clients.ts';
import { CLOUD_KEYS } from './cloud.ts';
import { DATABASE_ROOTS } from './databases.ts';
import { IDENTITIES, signingKeysInKms } from './identities.ts';
import { LLM_KEYS } from './llm.ts';
import type { Play, PlayedUpstream } from './played.ts';
import { privateAuthorities } from './private-ca.ts';
import { ROOTS } from './roots.ts';
import { VECTOR_DATABASE_KEYS } from './vector.ts';

/** How each upstream is played; what isn't says `ELSEWHERE` of scripts/upstream-run.ts. */
export const UPSTREAMS: Readonly<Record<Exclude<ProviderKey, `database/${string}` | 'root/by-hand'>, Play>> =
  {
    ...LLM_KEYS,
    ...VECTOR_DATABASE_KEYS,
    ...CLOUD_KEYS,
    ...IDENTITIES,
    'certificate-authority/private-ca': privateAuthorities,
    ...OAUTH_CLIENTS,
    ...ROOTS,
    ...DATABASE_ROOTS,
  };

/** Starts one of each upstream that Rekey knows, and the variants. */
export async function playUpstreams(world: World): Promise<PlayedUpstream[]> {
  return Promise.all([...Object.values(UPSTREAMS), signingKeysInKms].map(async (play) => play(world)));
}
