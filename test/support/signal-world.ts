import { createHmac, createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { exportJWK, generateKeyPair, SignJWT, createLocalJWKSet, jwtVerify, type JWK } from 'jose';
import { answer, type Handled, type SignalServices } from '../../lambdas/receive-signal/answer.ts';
import type { AuditAction, AuditDraft } from '../../shared/domain/audit.ts';
import { plusSeconds, toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Family } from '../../shared/domain/families.ts';
import { fingerprint } from '../../shared/domain/fingerprint.ts';
import type { Holder } from '../../shared/domain/holders.ts';
import type { KnownKey } from '../../shared/domain/leak.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { GithubAlert } from '../../shared/domain/signals/github.ts';
import type { SignalPolicy } from '../../shared/domain/signals/decide.ts';
import type { HeldSignal } from '../../shared/domain/signals/held.ts';
import type { SignalSettings } from '../../shared/domain/signals/settings.ts';
import { forged, REMEMBERED_SECONDS, type SignalSource } from '../../shared/domain/signals/signal.ts';
import type { TakenSignal, ToldSuspicions } from '../../shared/domain/signals/taken.ts';
import type { FamilyEmergency } from '../../shared/engine/families/revoke.ts';
import type { SignalDeps } from '../../shared/engine/signals/deps.ts';
import type { LedgerChange } from '../../shared/ports/ledger.ts';
import type { EmergencyInput, SuspensionInput } from '../../shared/ports/workflow.ts';
import { registeringHead } from './credential-head.ts';
import { freshFamily, MemoryFamilies } from './families.ts';

/** What the sources and Rekey share. */
export const SHARED = 'shared-with-the-source';
/** The name under which GitHub's key for partners is known. */
export const PARTNER_KEY = 'a'.repeat(64);

/** A tenant of Entra, and the application that Event Grid is in it. */
const TENANT = '11111111-2222-3333-4444-555555555555';
const EVENT_GRID = '4962773b-9cdb-44cf-a8bf-237846a00ab7';

const SETTINGS: SignalSettings = {
  github: { secretArn: 'arn:shared', tokenSecretArn: 'arn:token', apiUrl: 'https://api.github.com' },
  'github-partner': { keysUrl: 'https://api.github.com/meta/public_keys/secret_scanning' },
  gitguardian: { secretArn: 'arn:shared' },
  siem: { secretArn: 'arn:shared' },
  risc: {
    issuer: 'https://idp.example.com/',
    audience: 'rekey',
    jwksUrl: 'https://idp.example.com/jwks',
    credentials: { 'account-1': 'orders' },
  },
  gcp: {
    audience: 'rekey',
    serviceAccount: 'push@example.iam.gserviceaccount.com',
    credentials: { 'projects/1/secrets/orders': 'orders' },
  },
  azure: {
    secretArn: 'arn:shared',
    entra: { tenant: TENANT, audience: 'api://rekey' },
    credentials: { 'vault/orders': 'orders' },
  },
};

type IssuerKey = Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];

/** A delivery before API Gateway has it. */
export interface Sent {
  readonly source: string;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
}

/** The handler of signals over a ledger in memory that counts what is written. */
export class SignalWorld {
  now = Date.parse('2026-11-26T10:00:00.000Z');
  /** What was changed, by whatever changes anything. */
  readonly writes: string[] = [];
  readonly emergencies: (EmergencyInput & { readonly id: string })[] = [];
  /** By their ids: the same again is joined. */
  readonly suspensions = new Map<string, SuspensionInput>();
  readonly rotations: string[] = [];
  readonly records: AuditAction[] = [];
  readonly drafts: AuditDraft[] = [];
  readonly families = new MemoryFamilies(() => this.now);
  /** Signals that wait, whichever trail says so. */
  readonly kept: Map<string, HeldSignal> = this.families.held;
  readonly alerts = new Map<number, GithubAlert>();
  readonly credentials = new Map<string, Credential>();
  readonly #keys = new Map<string, KnownKey[]>();
  readonly #seen = new Map<string, { readonly of: (now: number) => TakenSignal | undefined }>();
  readonly #told = new Map<string, ToldSuspicions>();
  readonly #taken = new Map<string, { at: number; count: number; of: string | undefined }[]>();
  readonly #partner: KeyObject;
  readonly #partnerPublic: string;
  readonly #issuer: { readonly privateKey: IssuerKey; readonly jwk: JWK };
  readonly services: SignalServices;
  refuseRotations: RekeyError | undefined;
  readonly familyEmergencies: FamilyEmergency[] = [];
  /** Names of the families that were refreshed. */
  readonly refreshes: string[] = [];
  refuseFamilies: RekeyError | undefined;

  private constructor(
    issuer: { privateKey: IssuerKey; jwk: JWK },
    policy: Partial<SignalPolicy>,
    kept: Partial<SignalDeps>,
  ) {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#partner = createPrivateKey(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    this.#partnerPublic = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    this.#issuer = issuer;
    this.services = {
      settings: SETTINGS,
      policy: { maxCredentials: 3, maxAgents: 50, perHour: 60, breakGlassSeconds: 1800, ...policy },
      keys: {
        claims: async (jwt, terms) => {
          try {
            const { payload } = await jwtVerify(jwt, createLocalJWKSet({ keys: [issuer.jwk] }), {
              issuer: [terms.issuer].flat(),
              audience: terms.audience,
              currentDate: new Date(this.now),
              ...(terms.type === undefined ? {} : { typ: terms.type }),
              ...(terms.maxAgeSeconds === undefined
                ? { requiredClaims: ['exp'] }
                : { maxTokenAge: terms.maxAgeSeconds }),
            });
            return payload;
          } catch {
            throw forged();
          }
        },
        partnerKey: (id) => Promise.resolve(id === PARTNER_KEY ? this.#partnerPublic : undefined),
        secret: () => Promise.resolve(new Redacted(`${SHARED}\nolder-one\n`)),
      },
      deps: { ...this.#deps(), ...kept },
    };
  }

  /** With what else the policy says, and what is kept elsewhere than in memory. */
  static async start(
    policy: Partial<SignalPolicy> = {},
    kept: Partial<SignalDeps> = {},
  ): Promise<SignalWorld> {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const issuer = { privateKey, jwk: { ...(await exportJWK(publicKey)), alg: 'ES256' } };
    return new SignalWorld(issuer, policy, kept);
  }

  /** A credential whose current key is that value. */
  add(name: string, value: string, changes: Partial<Credential> = {}): Credential {
    const handle = { id: changes.live?.[0]?.id ?? `user-${name}`, generation: 1 };
    const key: KnownKey = {
      credentialId: `id-${name}`,
      handle,
      versionId: 'v1',
      fingerprint: fingerprint(new Redacted(value)),
      issuedAt: toInstant(this.now),
    };
    const home = { account: '1', region: 'r', tenant: 't', now: this.now };
    const credential = registeringHead(home, {
      id: key.credentialId,
      name,
      status: 'active',
      current: key,
      live: [handle],
      ...changes,
    });
    this.credentials.set(credential.id, credential);
    this.#keys.set(key.fingerprint, [...(this.#keys.get(key.fingerprint) ?? []), key]);
    return credential;
  }

  /** The keys of a credential do not work any more, after an emergency of that id where one has ended them. */
  end(name: string, execution?: string): void {
    const credential = this.#head(name);
    const { current: _over, ...rest } = credential;
    const incident = { id: 'i', stage: 'resumed', generation: 2, replacement: 'r' } as const;
    this.credentials.set(credential.id, {
      ...rest,
      live: [],
      ...(execution === undefined ? {} : { incident: { ...incident, execution } }),
    });
  }

  /** Changes a credential as something else would. */
  change(name: string, changes: Partial<Credential>): void {
    const credential = this.#head(name);
    this.credentials.set(credential.id, { ...credential, ...changes });
  }

  #head(name: string): Credential {
    const credential = this.credentials.get(`id-${name}`);
    if (credential === undefined) throw new Error(`there is no credential ${name}`);
    return credential;
  }

  /** A family that works, with one access and one refresh token. */
  async addFamily(
    name: string,
    values: { readonly access: string; readonly refresh: string },
    changes: Partial<Family> = {},
  ): Promise<Family> {
    const at = toInstant(this.now);
    const print = (value: string): string => fingerprint(new Redacted(value));
    const versionId = `version-of-${name}`;
    const expiresAt = plusSeconds(at, 3600);
    const fresh = freshFamily({ name, status: 'active', needs: undefined, ...changes }, this.now);
    const draft = { action: 'registered', time: at, trigger: { kind: 'operator', actor: 'o' } } as const;
    const before = await this.families.create(fresh, draft);
    const known = { familyId: fresh.id, versionId, at };
    return this.families.commit({
      before,
      after: {
        ...before,
        tokens: {
          versionId,
          fingerprint: print(values.refresh),
          refreshable: true,
          consentedAt: at,
          rotatedAt: at,
          refreshedAt: at,
          expiresAt,
          ...changes.tokens,
        },
      },
      tokens: [
        { ...known, kind: 'access', fingerprint: print(values.access), expiresAt },
        { ...known, kind: 'refresh', fingerprint: print(values.refresh) },
      ],
    });
  }

  /** Holders of so many agents. */
  static holders(agents: number): readonly Holder[] {
    return [{ kind: 'polling', name: 'fleet', ttlSeconds: 60, agents }];
  }

  send({ source, body, headers, query = {} }: Sent, base64 = true): Promise<Handled> {
    const path = `/signals/${source}`;
    // The parts of an event that the function reads.
    const event = {
      rawPath: path,
      headers,
      queryStringParameters: query,
      body: base64 ? body.toString('base64') : body.toString('utf8'),
      isBase64Encoded: base64,
      requestContext: { http: { method: 'POST', path }, stage: '$default', requestId: 'r' },
      // As far as the intake reads an event: the type wants all that AWS sends.
    } as unknown as APIGatewayProxyEventV2;
    return answer(event, this.services);
  }

  /** A delivery as its source makes and signs it; `value` is what was found, where the source has it. */
  async signed(source: SignalSource, value: string, n: number): Promise<Sent> {
    const at = String(Math.floor(this.now / 1000));
    const found = fingerprint(new Redacted(value));
    switch (source) {
      case 'github': {
        this.alerts.set(n, { state: 'open', secret: new Redacted(value), validity: 'active' });
        return this.hmac(source, {
          action: 'created',
          alert: {
            number: n,
            html_url: 'https://github.com/o/r/security/1',
            updated_at: toInstant(this.now),
          },
          repository: { name: 'r', owner: { login: 'o' } },
        });
      }
      case 'github-partner':
        return this.partner([{ token: value, type: 't', url: `https://github.com/o/r/blob/${n}` }]);
      case 'gitguardian':
        return this.hmac(source, {
          action: 'incident_triggered',
          incident: { validity: 'valid', date: at, n },
        });
      case 'siem':
        return this.hmac(source, { signals: [{ id: `s-${n}`, fingerprints: [found], verified: true }] });
      case 'risc':
        return this.risc({ jti: `jti-${n}` });
      case 'gcp':
        return this.gcp(n);
      case 'azure':
        return { source, headers: {}, query: { key: SHARED }, body: this.#nearExpiry(n) };
    }
  }

  /** Signed as GitHub, GitGuardian and a SIEM sign. */
  hmac(source: 'github' | 'gitguardian' | 'siem', message: unknown, secret = SHARED): Sent {
    const body = json(message);
    const at = String(Math.floor(this.now / 1000));
    const of = (key: string, ...parts: (string | Buffer)[]): string => {
      const hmac = createHmac('sha256', key);
      for (const part of parts) hmac.update(part);
      return `sha256=${hmac.digest('hex')}`;
    };
    const headers = {
      github: () => ({ 'X-Hub-Signature-256': of(secret, body), 'X-GitHub-Delivery': 'd' }),
      gitguardian: () => ({ Timestamp: at, 'Gitguardian-Signature': of(`${at}${secret}`, body) }),
      siem: () => ({ 'X-Rekey-Timestamp': at, 'X-Rekey-Signature': of(secret, `${at}.`, body) }),
    }[source]();
    return { source, body, headers };
  }

  partner(message: unknown): Sent {
    const body = json(message);
    return {
      source: 'github-partner',
      body,
      headers: {
        'Github-Public-Key-Identifier': PARTNER_KEY,
        'Github-Public-Key-Signature': sign('sha256', body, this.#partner).toString('base64'),
      },
    };
  }

  async risc(claims: Record<string, unknown>, type = 'secevent+jwt'): Promise<Sent> {
    const event = 'https://schemas.openid.net/secevent/risc/event-type/credential-compromise';
    const jwt = await new SignJWT({
      iss: 'https://idp.example.com/',
      aud: 'rekey',
      iat: Math.floor(this.now / 1000),
      sub_id: { format: 'opaque', id: 'account-1' },
      events: { [event]: { credential_type: 'password' } },
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', typ: type })
      .sign(this.#issuer.privateKey);
    return { source: 'risc', headers: {}, body: Buffer.from(jwt) };
  }

  async gcp(n: number, claims: Record<string, unknown> = {}): Promise<Sent> {
    const jwt = await new SignJWT({
      iss: 'https://accounts.google.com',
      aud: 'rekey',
      email: 'push@example.iam.gserviceaccount.com',
      email_verified: true,
      exp: Math.floor(this.now / 1000) + 600,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256' })
      .sign(this.#issuer.privateKey);
    return {
      source: 'gcp',
      headers: { Authorization: `Bearer ${jwt}` },
      body: json({
        message: {
          messageId: `m-${n}`,
          publishTime: toInstant(this.now),
          attributes: { eventType: 'SECRET_ROTATE', secretId: 'projects/1/secrets/orders' },
        },
        subscription: 'projects/1/subscriptions/rekey',
      }),
    };
  }

  /** Of Event Grid, which proves itself by a token of Entra: version 1 unless `claims` say otherwise. */
  async eventGrid(n: number, claims: Record<string, unknown> = {}): Promise<Sent> {
    const jwt = await new SignJWT({
      iss: `https://sts.windows.net/${TENANT}/`,
      aud: 'api://rekey',
      appid: EVENT_GRID,
      exp: Math.floor(this.now / 1000) + 600,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT' })
      .sign(this.#issuer.privateKey);
    return { source: 'azure', headers: { Authorization: `Bearer ${jwt}` }, body: this.#nearExpiry(n) };
  }

  #nearExpiry(n: number): Buffer {
    return json([
      {
        id: `e-${n}`,
        eventType: 'Microsoft.KeyVault.SecretNearExpiry',
        eventTime: toInstant(this.now),
        topic: 't',
        data: { VaultName: 'vault', 'ObjectName ': 'orders', EXP: '1' },
      },
    ]);
  }

  #deps(): SignalDeps {
    const wrote = (what: string): void => void this.writes.push(what);
    return {
      clock: () => this.now,
      signals: {
        taken: (source, id) => Promise.resolve(this.#seen.get(`${source} ${id}`)?.of(this.now)),
        mark: (source, id, taken, forGood) => {
          wrote('mark');
          const until = forGood === true ? Infinity : this.now + REMEMBERED_SECONDS * 1000;
          this.#seen.set(`${source} ${id}`, { of: (now) => (now < until ? taken : undefined) });
          return Promise.resolve();
        },
        told: (credentialId) => Promise.resolve(this.#told.get(credentialId)),
        take: (budget, perHour, count = 1, of) => {
          const taken = (this.#taken.get(budget) ?? []).filter(({ at }) => this.now - at < 3600_000);
          if (of !== undefined && taken.some((each) => each.of === of)) return Promise.resolve(true);
          if (taken.reduce((sum, each) => sum + each.count, count) > perHour) return Promise.resolve(false);
          wrote('take');
          this.#taken.set(budget, [...taken, { at: this.now, count, of }]);
          return Promise.resolve(true);
        },
        held: (id) => Promise.resolve(this.kept.get(id)),
        allHeld: () => Promise.resolve([...this.kept.values()]),
      },
      ledger: {
        byFingerprint: (found) => Promise.resolve(this.#keys.get(found) ?? []),
        credential: (id) => Promise.resolve(this.credentials.get(id)),
        idByName: (name) =>
          Promise.resolve([...this.credentials.values()].find((each) => each.name === name)?.id),
        list: () => Promise.resolve({ items: [...this.credentials.values()] }),
        rotation: () => Promise.resolve(undefined),
        commit: (change) => Promise.resolve(this.#commit(change)),
      },
      workflow: {
        startEmergency: (id, input) => {
          wrote('emergency');
          this.emergencies.push({ id, ...input });
          return Promise.resolve(this.emergencies.find((one) => one.id === id) ?? input);
        },
        startSuspension: (id, input) => {
          wrote('suspension');
          this.suspensions.set(id, input);
          return Promise.resolve();
        },
      },
      rotate: ({ token }) => {
        if (this.refuseRotations !== undefined) return Promise.reject(this.refuseRotations);
        wrote('rotation');
        this.rotations.push(token);
        // Nothing of the rotation is read here.
        return Promise.resolve({ joined: false, beside: [] } as unknown as Awaited<
          ReturnType<SignalDeps['rotate']>
        >);
      },
      families: {
        families: this.families,
        clock: () => this.now,
        revoke: (emergency) => {
          wrote('family-emergency');
          this.familyEmergencies.push(emergency);
          return this.refuseFamilies ? Promise.reject(this.refuseFamilies) : Promise.resolve();
        },
        refresh: ({ name }) => {
          if (this.refuseFamilies) return Promise.reject(this.refuseFamilies);
          wrote('refresh');
          this.refreshes.push(name);
          return Promise.resolve();
        },
      },
      alerts: { read: ({ number }) => Promise.resolve(this.alerts.get(number)) },
    };
  }

  #commit({ after, held, taken, records }: LedgerChange): Credential {
    if (taken !== undefined) {
      const key = `${taken.source} ${taken.id}`;
      if (this.#seen.has(key)) throw new RekeyError('ERR_CONFLICT', 'somebody was faster');
      const now = { at: toInstant(this.now), round: 0, fingerprints: [] };
      this.#seen.set(key, { of: () => now });
      const { id: signal, suspicions } = taken;
      if (suspicions !== undefined) this.#told.set(after.id, { signal, at: toInstant(this.now), suspicions });
    }
    if (held !== undefined) {
      if ((this.kept.get(held.id)?.version ?? 0) !== held.version - 1)
        throw new RekeyError('ERR_CONFLICT', 'somebody was faster');
      this.kept.set(held.id, held);
    }
    this.writes.push('commit');
    this.records.push(...records.map(({ action }) => action));
    this.drafts.push(...records);
    return after;
  }
}

function json(message: unknown): Buffer {
  return Buffer.from(JSON.stringify(message));
}
