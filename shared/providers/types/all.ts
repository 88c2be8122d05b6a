import { PROVIDERS as agentToken } from './agent-token.ts';
import { PROVIDERS as certificateAuthority } from './certificate-authority.ts';
import { PROVIDERS as cloudKey } from './cloud-key.ts';
import { PROVIDERS as database } from './database.ts';
import { PROVIDERS as databaseRoot } from './database-root.ts';
import { PROVIDERS as llmKey } from './llm-key.ts';
import { PROVIDERS as oauthClient } from './oauth-client.ts';
import { PROVIDERS as root } from './root.ts';
import type { Loaders } from './loaders.ts';
import { PROVIDERS as signingKey } from './signing-key.ts';
import { PROVIDERS as vectorDatabaseKey } from './vector-database-key.ts';

/** All there are. The bundle of a function of one type has that type's in its place (infra/bundle.ts). */
export const PROVIDERS: Loaders = {
  ...database,
  ...llmKey,
  ...vectorDatabaseKey,
  ...cloudKey,
  ...signingKey,
  ...agentToken,
  ...certificateAuthority,
  ...oauthClient,
  ...root,
  ...databaseRoot,
};
