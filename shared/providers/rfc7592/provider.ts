import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';
import { enterAs, newKey, thumbprint } from '../http/client-assertion.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { assertCloses } from '../http/negative.ts';
import { ownBaseUrl, targetOf, type KeyTarget } from '../http/target.ts';

interface ClientTarget extends KeyTarget {
  /** The token endpoint, at which the client says who it is. */
  readonly baseUrl: string;
  readonly clientId: string;
  /** Whom an assertion is for; the token endpoint where nothing is said. */
  readonly issuer?: string | undefined;
}

const adminSchema = z.object({ registrationClientUri: z.url(), registrationAccessToken: z.string().min(1) });
type Admin = z.infer<typeof adminSchema>;

const jwk = z.looseObject({ kid: z.string().optional() });
/** A registration (RFC 7591); what isn't named is sent back as it came. */
const registration = z.looseObject({
  client_id: z.string(),
  jwks: z.object({ keys: z.array(jwk) }).default({ keys: [] }),
  registration_access_token: z.string().optional(),
});
type Registration = z.infer<typeof registration>;

/** Name of a key that nobody has: a registration may not be left without any. */
const NOBODY = 'rekey-nobody';
/** What the server alone sets (RFC 7592, 2.2). */
const SERVER_SETS = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
];

/**
 * Clients of any authorization server that lets them manage their registration (RFC 7592) and say who they are by a key
 * (`private_key_jwt`): keys in the registration's JWK set, of which two live at once. Rekey makes each pair itself. The
 * administrative secret is `{"registrationClientUri": …, "registrationAccessToken": …, "baseUrl": …}`.
 */
export const rfc7592Provider = keyProvider<ClientTarget, Admin>({
  key: 'oauth-client/rfc7592',
  name: 'the authorization server',
  ...targetOf({
    baseUrl: ownBaseUrl,
    clientId: z.string().regex(/^[\x21-\x7e]{1,512}$/, 'must be the client_id of the registration'),
    issuer: z.url().max(512).optional(),
  }),
  owner: ({ clientId }) => clientId,
  form: {
    key: 'private_key',
    id: 'private_key_id',
    beside: ['client_id'],
    of: ({ clientId }) => ({ client_id: clientId }),
  },
  admin: adminSchema,
  adminUrl: ({ registrationClientUri }) => registrationClientUri,
  adminHeaders: ({ registrationAccessToken }) => ({ authorization: `Bearer ${registrationAccessToken}` }),
  agentHeaders: () => ({}),

  list: async (api, target) => shown(await read(api, target)),

  async create(api, target, name, admin) {
    const { value, publicKey } = newKey(name);
    const before = await read(api, target);
    assertKeepsLogin(before, admin.registrationAccessToken);
    const after = await write(api, before, [...before.jwks.keys, publicKey]);
    const id = thumbprint(publicKey);
    if (shown(after).some((key) => key.id === id)) return { id, value };
    throw new RekeyError('ERR_REJECTED', 'the server does not keep the key that was registered', {
      field: 'target.clientId',
      remedy: 'look whether the client is registered for private_key_jwt with a JWK set of its own (jwks)',
    });
  },

  async remove(api, target, id) {
    const before = await read(api, target);
    const keys = before.jwks.keys.filter((key) => thumbprint(key) !== id);
    if (keys.length !== before.jwks.keys.length) await write(api, before, keys);
  },

  test: async (api, target, { value }) => enterAs(api, target, value),

  /** A key that was never registered must be refused: else no end of one could be seen. */
  async inspect(as, target, admin, _now, api) {
    assertKeepsLogin(await read(api, target), admin.registrationAccessToken);
    const { value } = newKey(NOBODY);
    const remedy = 'register the client for private_key_jwt; look who answers at this address';
    await assertCloses('the authorization server', async () => enterAs(as(), target, value), remedy);
  },

  byHand: (_target, id) =>
    [
      `# take the key ${id} (its RFC 7638 thumbprint in hex) out of the JWK set of the client: at the console of the server, or`,
      'curl -H "authorization: Bearer $REGISTRATION_ACCESS_TOKEN" "$REGISTRATION_CLIENT_URI" > client.json',
      '# edit jwks in it, leave out what only the server sets (registration_*, client_id_issued_at, client_secret_expires_at), then',
      'curl -X PUT -H "authorization: Bearer $REGISTRATION_ACCESS_TOKEN" -H "content-type: application/json" -d @client.json "$REGISTRATION_CLIENT_URI"',
      '# Access tokens that it got live on until they end.',
    ].join('\n'),
});

/** The registration as the server has it. @throws RekeyError ERR_DECLARATION where the login is for another client */
async function read(api: Api, { clientId }: ClientTarget): Promise<Registration> {
  const found = await api.call({ method: 'GET', path: '', answer: registration });
  if (found.client_id === clientId) return found;
  throw new RekeyError('ERR_DECLARATION', 'the administrative secret is for another client than the target', {
    field: 'target.clientId',
    remedy: 'name the secret with the registration of this client',
  });
}

/** Sends the registration back with these keys: the whole of it, since the server takes what is missing for deleted. */
async function write(api: Api, before: Registration, keys: readonly object[]): Promise<Registration> {
  const own = Object.entries(before).filter(([field]) => !SERVER_SETS.includes(field));
  const left = keys.filter((key) => !('kid' in key) || key.kid !== NOBODY);
  const jwks = { keys: left.length > 0 ? left : [newKey(NOBODY).publicKey] };
  const body = { ...Object.fromEntries(own), jwks };
  const after = await api.call({ method: 'PUT', path: '', body, answer: registration });
  const was = before.registration_access_token;
  if (was !== undefined) assertKeepsLogin(after, was);
  return after;
}

/**
 * A registration access token that is replaced (RFC 7592 allows it with each answer) is lost with the answer: no provider
 * writes administrative secrets.
 */
function assertKeepsLogin({ registration_access_token: token }: Registration, used: string): void {
  if (token === undefined || token === used) return;
  throw new RekeyError(
    'ERR_REJECTED',
    'the server shows another registration access token than it was asked with, and may take the former one no more',
    {
      field: 'admin',
      remedy:
        'have the server keep registration access tokens and issue one for this client, and put that into the ' +
        'administrative secret; where it always replaces them, rotate the key by hand',
    },
  );
}

function shown({ jwks }: Registration): UpstreamKey[] {
  const keys = jwks.keys.filter(({ kid }) => kid !== NOBODY);
  return keys.map((key) => ({ id: thumbprint(key), name: key.kid ?? '', active: true }));
}
