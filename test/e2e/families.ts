import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
  TagResourceCommand,
} from '@aws-sdk/client-secrets-manager';
import { exportJWK, generateKeyPair } from 'jose';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { agentRole, sessionOf } from '../../local/demo/agent.ts';
import { readArchive } from '../../local/demo/archive.ts';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { Passed } from '../../scripts/upstream-run.ts';
import type { EmergencyAnswer, FamilyAnswer, RotateAnswer } from '../../shared/api/messages.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import { FAMILY_TYPE, OUTPUT, TAG } from '../../shared/names.ts';
import { OidcServer, SERVICE_CLIENT } from '../support/oidc.ts';
import { IdentityLoad } from './identity-load.ts';
import type { Watched } from './watched.ts';

interface Deployed {
  readonly world: World;
  readonly vault: SecretsManagerClient;
  readonly watched: Watched;
  /** Is told what token families have passed. */
  readonly passed: (what: Passed) => void;
}

const AGENTS = 50;
const FAMILY = 'tools';
/** A client that acts for itself: its first token is fetched by the coordinator's schedule, which nobody asks. */
const SERVICE = 'tools-service';
const CLIENT = 'tools-client';

/**
 * Token families at a real authorization server that detects reuse: consented to by `rekey connect` and refreshed by the
 * deployed coordinator, while the key of their client rotates and is revoked, and agents call without pause with what they
 * read from the vault.
 */
export function testFamilies(deployed: () => Deployed): void {
  test('families of OAuth tokens: through three rotations of their client and an emergency none is revoked, and no call of 50 agents refused', async () => {
    const { world, vault, watched, passed } = deployed();
    await using oidc = await OidcServer.start();
    oidc.behaviour.graceMs = 120_000;
    await declareFamilies(world, oidc, await registeredClient(world, vault, oidc));
    expect(await connect(world, oidc)).toMatchObject({ family: FAMILY, status: 'active' });
    passed('register');

    await using agents = await AgentsVault.of(world);
    const newLoad = (): IdentityLoad =>
      new IdentityLoad(
        AGENTS,
        2000,
        async () => (await agents.held(FAMILY))['access_token'] ?? '',
        async (token) => ({
          ok: await oidc.isLive(token),
          why: 'an access token was refused',
          shown: [token],
        }),
      );
    await using load = newLoad();
    expect(await refresh(world)).toBe('');
    oidc.behaviour.trouble.push('lost');
    expect([await refresh(world), await refresh(world)]).toEqual(['ERR_UNAVAILABLE', '']);
    passed('lost answer');

    let isRevoked = false;
    const rotations = (async () => {
      for (let round = 0; round < 3; round++) {
        const { rotation } = await rekeyJson<RotateAnswer>(['rotate', CLIENT], world.env);
        expect((await watched.over(CLIENT, rotation.id)).phase).toBe('completed');
      }
      isRevoked = true;
      const revoke = ['revoke', CLIENT, '--incident', 'INC-11', '--reason', 'test', '--yes', '--wait'];
      expect((await rekeyJson<EmergencyAnswer>(revoke, world.env)).status).toBe('SUCCEEDED');
      return 'over';
    })();
    const refused = new Set<string>();
    // Two at once: one of them may be told that the other is at it.
    const ordinary = ['', 'ERR_CONFLICT'];
    do {
      const said = await Promise.all([refresh(world), refresh(world)]);
      // Between revocation and replacement the client has no key; agents have their tokens.
      const fine = isRevoked ? [...ordinary, 'ERR_ADMIN_DENIED'] : ordinary;
      for (const each of said) if (!fine.includes(each)) refused.add(each);
    } while ((await Promise.race([rotations, sleep(500)])) !== 'over' || oidc.refreshes < 12);
    expect([...refused]).toEqual([]);
    expect(await refresh(world)).toBe('');
    passed('rotate');
    expect([...oidc.revokedByReuse, ...oidc.revokedOnRequest]).toEqual([]);
    const service = async (): Promise<unknown> => (await agents.held(SERVICE))['access_token'];
    await expect.poll(service, { timeout: 90_000, interval: 2000 }).toBeTypeOf('string');

    const { access_token: leaked = '' } = await agents.held(FAMILY);
    // Agents that are told to halt.
    await load.stop();
    const halted = load.counted();
    expect(halted.failures).toEqual([]);
    expect(halted.checks).toBeGreaterThan(AGENTS * 20);
    const emergency = ['--incident', 'INC-12', '--reason', 'test', '--yes'];
    const value = ['revoke', '--leaked', '-', '--json', ...emergency];
    const found = await rekey(value, world.env, undefined, JSON.stringify({ access_token: leaked }));
    expect([found.status, JSON.parse(found.stdout)]).toMatchObject([
      0,
      { outcome: 'live', matches: [], families: [{ family: FAMILY, token: 'access' }] },
    ]);
    // By its name it is joined.
    expect(await rekey(['revoke', FAMILY, ...emergency], world.env)).toMatchObject({ status: 0 });
    expect([await oidc.isLive(leaked), await agents.held(FAMILY)]).toEqual([
      false,
      expect.objectContaining({ error: 'consent_needed' }),
    ]);
    expect(oidc.revokedOnRequest.size).toBe(1);
    passed('revoke');
    await connect(world, oidc);
    await using resumed = newLoad();
    await expect.poll(() => resumed.counted().checks, { timeout: 30_000 }).toBeGreaterThan(AGENTS);
    await resumed.stop();
    expect(resumed.counted().failures).toEqual([]);
    expect(oidc.revokedByReuse.size).toBe(0);

    const { SecretString: kept = '' } = await vault.send(
      new GetSecretValueCommand({ SecretId: `agents/refresh-tokens/${FAMILY}` }),
    );
    const { refresh_token: refreshToken = kept, access_token: token = kept } = JSON.parse(kept) as Tokens;
    const recorded = async (): Promise<string> => JSON.stringify(await recordsOfFamily(world));
    await expect.poll(recorded, { timeout: 60_000, interval: 2000 }).toContain('emergency-revoked');
    const trail = await recorded();
    expect(trail).toContain('sha256:');
    expect([refreshToken, token, leaked].filter((each) => trail.includes(each))).toEqual([]);
    passed('audit');
    await rekeyJson(['unregister', SERVICE, '--yes', '--reason', 'test'], world.env);
    expect(await agents.held(SERVICE)).toHaveProperty('access_token');
  }, 420_000);
}

type Tokens = Readonly<Partial<Record<string, string>>>;

/** What agents see of the vault, as the role that they run as. */
class AgentsVault implements AsyncDisposable {
  readonly #vault: SecretsManagerClient;

  private constructor(vault: SecretsManagerClient) {
    this.#vault = vault;
  }

  static async of(world: World): Promise<AgentsVault> {
    const credentials = await sessionOf(world, await agentRole(world, 'tool-agents'));
    return new AgentsVault(new SecretsManagerClient({ ...world.stack.clientConfig, credentials }));
  }

  async held(family: string): Promise<Tokens> {
    const SecretId = `agents/families/${family}`;
    const { SecretString = '{}' } = await this.#vault.send(new GetSecretValueCommand({ SecretId }));
    return JSON.parse(SecretString) as Tokens;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#vault.destroy();
    return Promise.resolve();
  }
}

/** A client as a person registers it, whose keys Rekey makes from then on (RFC 7592), and lets the coordinator read. */
async function registeredClient(
  world: World,
  vault: SecretsManagerClient,
  oidc: OidcServer,
): Promise<string> {
  const { publicKey } = await generateKeyPair('ES256', { extractable: true });
  const registered = await oidc.register({
    ...CONSENTED,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'by-hand', alg: 'ES256', use: 'sig' }] },
  });
  const { client_id: clientId = '' } = registered;
  const secretOf = async (Name: string, value: object, admin: string): Promise<unknown> =>
    vault.send(
      new CreateSecretCommand({
        Name,
        SecretString: JSON.stringify(value),
        Tags: [{ Key: TAG.admin, Value: admin }],
      }),
    );
  const login = {
    registrationClientUri: registered['registration_client_uri'],
    registrationAccessToken: registered['registration_access_token'],
    baseUrl: oidc.issuer,
  };
  await secretOf(`agents/admin/${CLIENT}`, login, 'oauth-client');
  const own = { client_secret: SERVICE_CLIENT.client_secret, allowedHosts: ['127.0.0.1'] };
  await secretOf(`oauth/${SERVICE}`, own, FAMILY_TYPE);
  await apply(world, {
    credentials: [
      {
        name: CLIENT,
        type: 'oauth-client',
        provider: 'rfc7592',
        secret: `agents/${CLIENT}`,
        admin: `agents/admin/${CLIENT}`,
        target: { clientId, label: 'tools', issuer: oidc.issuer, baseUrl: `${oidc.issuer}/token` },
        policy: { window: '5s', deadline: '60s', cap: '2m', interval: '14d', evidenceOfUse: 'holders' },
        holders: [{ kind: 'polling', name: 'coordinator', ttl: '2s' }],
      },
    ],
  });
  const Tags = [{ Key: TAG.admin, Value: FAMILY_TYPE }];
  await vault.send(new TagResourceCommand({ SecretId: `agents/${CLIENT}`, Tags }));
  return clientId;
}

const CONSENTED = {
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
};

async function declareFamilies(world: World, { issuer }: OidcServer, clientId: string): Promise<void> {
  const holders = [{ kind: 'polling', name: 'tool-agents', ttl: '2s' }];
  const common = { owner: 'tools team', server: { issuer }, scopes: ['tools:read'], holders };
  const client = { id: clientId, secret: `agents/${CLIENT}`, authentication: 'private_key_jwt' };
  const own = {
    id: SERVICE_CLIENT.client_id,
    secret: `oauth/${SERVICE}`,
    authentication: 'client_secret_post',
  };
  await apply(world, {
    families: [
      { ...common, name: FAMILY, client, refresh: { grace: '120s' } },
      { ...common, name: SERVICE, client: own, grant: 'client_credentials' },
    ],
  });
}

async function apply(world: World, lists: object): Promise<void> {
  const file = join(world.dir, `${Object.keys(lists).join()}-of-oauth.yaml`);
  await writeFile(file, stringify({ version: 1, ...lists }));
  await rekeyJson(['apply', '-f', file], world.env);
}

/** What a person does: opens the address that the command shows in a browser, and consents there. */
async function connect(world: World, oidc: OidcServer): Promise<unknown> {
  const shown = (line: string): void => {
    const { url } = JSON.parse(line) as { url?: string };
    if (url !== undefined) void oidc.browse(url).catch(() => undefined);
  };
  const args = ['connect', FAMILY, '--no-browser', '--json', '--timeout', '30s'];
  const { status, stdout, stderr } = await rekey(args, world.env, 60_000, '', shown);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as unknown;
}

/** Its records in the archive, where those of families are found. */
async function recordsOfFamily(world: World): Promise<AuditRecord[]> {
  const { family } = await rekeyJson<FamilyAnswer>(['show', FAMILY], world.env);
  const records = await readArchive(world.stack, world.output(OUTPUT.archive));
  return records.filter(({ entity }) => entity.uid === family.id);
}

/** Asks the coordinator for a refresh; the code of its refusal, empty where there is none. */
async function refresh(world: World): Promise<string> {
  const { status, stderr } = await rekey(['rotate', FAMILY, '--json'], world.env);
  return status === 0 ? '' : (/ERR_[A-Z_]+/.exec(stderr)?.[0] ?? stderr);
}
