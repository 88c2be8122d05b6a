/** Of Qdrant's static keys and a proxy before Chroma alike. */
const DEPLOY_HOOK = [
  'let the hook take a new token beside the one in use, and draw a new seed',
  'its secret: {"hookToken": the new one, "keySeeds": [the new seed, the former one]} and whatever else the former value had',
  'rotate every credential that uses it, and wait until each rotation has ended: without the former seed the end of a former key can’t be seen',
  'take the former token from the hook, and the former seed out of keySeeds',
] as const;

/**
 * What a person does to replace an administrative credential that Rekey can't: by upstream, in order. The first part of each
 * is done at the upstream; what follows is the same everywhere (`stepsOf`),
 * but for a third and a fourth part: what has to happen before the former one ends, and how that is done.
 */
const AT_UPSTREAM = {
  anthropic: [
    'Console, Settings, Admin keys: create an admin key beside the one in use',
    'its secret: {"adminKey": …} and whatever else the former value had, e.g. the pool',
  ],
  google: [
    'create a second key of the administrative service account: gcloud iam service-accounts keys create; better, use none and federate',
    'its secret: the JSON of the key as it was downloaded',
  ],
  mistral: [
    'Admin console, API keys: create an administrator’s key beside the one in use',
    'its secret: {"adminKey": …}',
  ],
  pinecone: [
    'make a second service account with the same roles: rotating the secret of the one in use ends that at once; or let Rekey do it (provider pinecone-service-account)',
    'its secret: {"clientId": …, "clientSecret": …}',
  ],
  weaviate: [
    'make a second user with the administrative role, or put a second key into AUTHENTICATION_APIKEY_ALLOWED_KEYS and restart',
    'its secret: {"adminKey": …}',
  ],
  'qdrant-cloud': [
    'Cloud console, Access management: create a management key beside the one in use',
    'its secret: {"managementKey": …}',
  ],
  qdrant: [
    'Qdrant 1.17 and later: configure the key in use as alt_api_key and a new one as api_key, and start every node again; never end the key in use first: every token that it has signed dies with it',
    'its secret: {"apiKey": the new one} and whatever else the former value had, e.g. baseUrl',
    'rotate every credential that uses it, and wait until each rotation has ended: their tokens are signed with the new one then',
    'take alt_api_key out of the configuration, and start every node again: whatever token is still signed with it dies',
  ],
  'qdrant-static': DEPLOY_HOOK,
  chroma: DEPLOY_HOOK,
  azure: [
    'add a second client secret to the administrative application: az ad app credential reset --append',
    'its secret: as before, with the new clientSecret',
  ],
  openai: [
    'Settings, Admin keys: create an admin key beside the one in use; or let Rekey do it (provider openai-admin)',
    'its secret: {"adminKey": …}',
  ],
  postgresql: [
    'make a second administrative login with the same memberships and attributes; or ALTER ROLE … PASSWORD of the one in use, in a moment in which no rotation is under way; or let Rekey do it (provider postgresql-master). Of one that Rekey rotates: ALTER ROLE … LOGIN PASSWORD of one of its two users',
    'its secret: {"username": …, "password": …} and whatever else the former value had',
  ],
  other: [
    'make a second administrative credential with the same rights',
    'its secret: in the form that its provider’s page has',
  ],
} as const satisfies Readonly<Record<string, readonly [string, string, string?, string?]>>;

/** Upstreams whose administrative credentials a person replaces. */
export type RootUpstream = keyof typeof AT_UPSTREAM;

/** All of them. */
export const ROOT_UPSTREAMS = Object.keys(AT_UPSTREAM) as RootUpstream[];

/** The whole task, step by step. `name` and `secret` are those of the root. */
export function stepsOf(
  upstream: string,
  { name, secret }: { name: string; secret: string },
): readonly string[] {
  const known = Object.hasOwn(AT_UPSTREAM, upstream)
    ? AT_UPSTREAM[upstream as RootUpstream]
    : AT_UPSTREAM.other;
  const [make, form, before, end = 'end the former one at the upstream once whoever else uses it has moved'] =
    known as readonly [string, string, string?, string?];
  return [
    make,
    `put it into ${secret} as a new version (${form}): aws secretsmanager put-secret-value --secret-id ${secret} --secret-string file://…`,
    `rekey confirm ${name}: Rekey looks that the value is another one and that it is let in`,
    ...(before === undefined ? [] : [`${before} (rekey roots --json has their names)`]),
    end,
  ];
}
