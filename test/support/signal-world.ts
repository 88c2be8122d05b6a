import { createHmac, createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { exportJWK, generateKeyPair, SignJWT, createLocalJWKSet, jwtVerify, type JWK } from 'jose';
import { answer, type Handled, type SignalServices } from '../../lambdas/receive-signal/answer.ts';
import type { AuditAction } from '../../shared/domain/audit.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { fingerprint } from '../../shared/domain/fingerprint.ts';
import type { Holder } from '../../shared/domain/holders.ts';
import type { KnownKey } from '../../shared/domain/leak.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { GithubAlert } from '../../shared/domain/signals/github.ts';
import type { HeldSignal } from '../../shared/domain/signals/held.ts';
import type { SignalSettings } from '../../shared/domain/signals/settings.ts';
import { forged, type SignalSource } from '../../shared/domain/signals/signal.ts';
import type { SignalDeps } from '../../shared/engine/signals/receive.ts';
import type { LedgerChange } from '../../shared/ports/ledger.ts';
import type { EmergencyInput, SuspensionInput } from '../../shared/ports/workflow.ts';
import { registeringHead } from './credential-head.ts';

/** What the sources and Rekey share. */
export const SHARED = 'shared-with-the-source';
/** The name under which GitHub's key for partners is known. */
export const PARTNER_KEY = 'a'.repeat(64);

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
  azure: { secretArn: 'arn:shared', credentials: { 'vault/orders': 'orders' } },
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
  readonly kept = new Map<string, HeldSignal>();
  readonly alerts = new Map<number, GithubAlert>();
  readonly credentials = new Map<string, Credential>();
  readonly #keys = new Map<string, KnownKey[]>();
  readonly #seen = new Set<string>();
  readonly #taken = new Map<string, number>();
  readonly #partner: KeyObject;
  readonly #partnerPublic: string;
  readonly #issuer: { readonly privateKey: IssuerKey; readonly jwk: JWK };
  readonly services: SignalServices;
  refuseRotations: RekeyError | undefined;

  private constructor(issuer: { privateKey: IssuerKey; jwk: JWK }) {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#partner = createPrivateKey(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    this.#partnerPublic = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    this.#issuer = issuer;
    this.services = {
      settings: SETTINGS,
      policy: { maxCredentials: 3, maxAgents: 50, perHour: 60, breakGlassSeconds: 1800 },
      keys: {
        claims: async (jwt, terms) => {
          try {
            const { payload } = await jwtVerify(jwt, createLocalJWKSet({ keys: [issuer.jwk] }), {
              issuer: terms.issuer,
              audience: terms.audience,
              currentDate: new Date(this.now),
              ...(terms.type === undefined ? {} : { typ: terms.type }),
              ...(terms.maxAgeSeconds === undefined ? {} : { maxTokenAge: terms.maxAgeSeconds }),
            });
            return payload;
          } catch {
            throw forged();
          }
        },
        partnerKey: (id) => Promise.resolve(id === PARTNER_KEY ? this.#partnerPublic : undefined),
        secret: () => Promise.resolve(new Redacted(`${SHARED}\nolder-one\n`)),
      },
      deps: this.#deps(),
    };
  }

  static async start(): Promise<SignalWorld> {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    return new SignalWorld({ privateKey, jwk: { ...(await exportJWK(publicKey)), alg: 'ES256' } });
  }

  /** A credential whose current key is that value. */
  add(name: string, value: string, changes: Partial<Credential> = {}): Credential {
    const handle = { id: `user-${name}`, generation: 1 };
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
        return {
          source,
          headers: {},
          query: { key: SHARED },
          body: json([
            {
              id: `e-${n}`,
              eventType: 'Microsoft.KeyVault.SecretNearExpiry',
              eventTime: toInstant(this.now),
              topic: 't',
              data: { VaultName: 'vault', 'ObjectName ': 'orders', EXP: '1' },
            },
          ]),
        };
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

  #deps(): SignalDeps {
    const wrote = (what: string): void => void this.writes.push(what);
    return {
      clock: () => this.now,
      signals: {
        seen: (source, id) => Promise.resolve(this.#seen.has(`${source} ${id}`)),
        mark: (source, id) => {
          wrote('mark');
          this.#seen.add(`${source} ${id}`);
          return Promise.resolve();
        },
        take: (budget, perHour, count = 1, of) => {
          const name = `${budget} ${toInstant(this.now).slice(0, 13)}`;
          if (of !== undefined && this.#taken.has(`${name} ${of}`)) return Promise.resolve(true);
          const taken = (this.#taken.get(name) ?? 0) + count;
          if (taken > perHour) return Promise.resolve(false);
          wrote('take');
          this.#taken.set(name, taken);
          if (of !== undefined) this.#taken.set(`${name} ${of}`, count);
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
        commit: (change) => Promise.resolve(this.#commit(change)),
      },
      workflow: {
        startEmergency: (id, input) => {
          wrote('emergency');
          this.emergencies.push({ id, ...input });
          return Promise.resolve();
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
      alerts: { read: ({ number }) => Promise.resolve(this.alerts.get(number)) },
    };
  }

  #commit({ after, held, records }: LedgerChange): Credential {
    if (held !== undefined) {
      if ((this.kept.get(held.id)?.version ?? 0) !== held.version - 1)
        throw new RekeyError('ERR_CONFLICT', 'somebody was faster');
      this.kept.set(held.id, held);
    }
    this.writes.push('commit');
    this.records.push(...records.map(({ action }) => action));
    return after;
  }
}

function json(message: unknown): Buffer {
  return Buffer.from(JSON.stringify(message));
}
