/** How an upstream lets old and new live together. */
export type Overlap =
  /** Up to `maxLive` live at once; the old one works until it is revoked. */
  | { readonly kind: 'dual'; readonly maxLive: number }
  /** The upstream itself lets the old one expire after `seconds`. */
  | { readonly kind: 'grace'; readonly seconds: number }
  /** The new one cuts the old one off, at the step named. */
  | { readonly kind: 'none'; readonly cutsAt: 'issue' | 'activate' };

/** What an upstream can do for one type of credential, as its documentation or a trial says it: facts, not choices. */
export interface Capabilities {
  /** How old and new live together, as Rekey uses the upstream. */
  readonly overlap: Overlap;
  /** Whether Rekey makes new ones; else an operator fills a pool. */
  readonly canCreate: boolean;
  /** Whether a credential can be made useless and brought back. */
  readonly canSuspend: boolean;
  /** False where calls go under the function's own role, and nobody declares an administrative login. */
  readonly needsAdmin?: false;
  /** How one is ended: by Rekey, by a person at the upstream, or by a deployment. */
  readonly revocation: 'api' | 'manual' | 'deploy-hook';
  /** Why the upstream may refuse to end one all the same. */
  readonly mayRefuse?: string;
  /** True where a person makes, replaces and ends it, and Rekey keeps the date. */
  readonly task?: true;
  /** How long one may still work after the upstream has taken the revocation, in seconds. */
  readonly revocationDelaySeconds: number;
  /** Who takes it for longer than that all the same, and for how long. */
  readonly takenLonger?: string;
  /** How long a new one may be refused although it was made, in seconds. */
  readonly propagationSeconds: number;
  /** How far the upstream's time of last use runs behind, in seconds; absent where it tells none. */
  readonly lastUsedLagSeconds?: number;
  /** What it tells of the uses of each key afterwards, and how late; absent where it tells nothing by the key. */
  readonly metering?: {
    readonly tells: 'every use' | 'the last use';
    /** By what it tells them apart, e.g. `model`. */
    readonly by: string;
    readonly lagSeconds: number;
  };
  /** Keys that the upstream allows one owner at most; absent where no limit is known. */
  readonly maxKeys?: number;
  /** What would need no key at all. */
  readonly keyless?: string;
  /** What else ends where it is revoked in an emergency, and what comes of that. */
  readonly takesAlong?: string;
  /** True where others check it by what Rekey publishes of it, and may be holders that verify. */
  readonly published?: true;
}

/** Of certificate authorities. */
const SIGNED_BY_AUTHORITY =
  'all certificates that it has signed end with it: agents that asked for theirs ask again by themselves, and a key that Rekey keeps (provider leaf) is rotated within minutes of the replacement, where there is one; `rekey revoke` of that one as well is sooner';

/**
 * By type and provider: the one place of what is known, which providers, engine and CLI read. Without any driver, so that
 * everybody may ask.
 */
export const CAPABILITIES = {
  'database/postgresql': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: true,
    revocation: 'api',
    revocationDelaySeconds: 0,
    propagationSeconds: 0,
    lastUsedLagSeconds: 0,
    keyless: 'IAM database authentication (RDS, Aurora)',
  },
  'llm-key/openai': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    mayRefuse: 'keys of service accounts are not deleted everywhere (docs/providers/openai.md)',
    revocationDelaySeconds: 60,
    propagationSeconds: 30,
    lastUsedLagSeconds: 3600,
    metering: { tells: 'every use', by: 'model', lagSeconds: 3600 },
  },
  'llm-key/anthropic': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: false,
    canSuspend: true,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 30,
    metering: { tells: 'every use', by: 'model', lagSeconds: 3600 },
    keyless: 'Workload Identity Federation',
  },
  'llm-key/mistral': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 30,
  },
  'llm-key/cohere': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: false,
    canSuspend: false,
    revocation: 'manual',
    revocationDelaySeconds: 60,
    propagationSeconds: 30,
  },
  'llm-key/google': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 300,
    propagationSeconds: 30,
    keyless: 'Workload Identity Federation (Vertex AI)',
  },
  'llm-key/bedrock': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: true,
    revocation: 'api',
    revocationDelaySeconds: 10,
    propagationSeconds: 30,
    maxKeys: 2,
    keyless: 'IAM roles (short-term keys, or signed requests)',
    needsAdmin: false,
  },
  'llm-key/azure-openai': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 60,
    maxKeys: 2,
    keyless: 'Entra ID tokens (managed identities, workload identity federation)',
  },
  'vector-database-key/pinecone': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 30,
  },
  'vector-database-key/weaviate': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: true,
    revocation: 'api',
    revocationDelaySeconds: 10,
    propagationSeconds: 10,
    lastUsedLagSeconds: 60,
    keyless: 'OpenID Connect (tokens of an identity provider)',
  },
  'vector-database-key/qdrant-cloud': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 30,
  },
  'vector-database-key/qdrant': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 10,
    propagationSeconds: 30,
  },
  'vector-database-key/qdrant-static': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'deploy-hook',
    revocationDelaySeconds: 300,
    propagationSeconds: 300,
    maxKeys: 2,
  },
  'vector-database-key/chroma': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'deploy-hook',
    revocationDelaySeconds: 300,
    propagationSeconds: 300,
  },
  'vector-database-key/chroma-cloud': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: false,
    canSuspend: false,
    revocation: 'manual',
    revocationDelaySeconds: 60,
    propagationSeconds: 30,
  },
  'cloud-key/aws-iam': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: true,
    needsAdmin: false,
    revocation: 'api',
    revocationDelaySeconds: 10,
    propagationSeconds: 15,
    lastUsedLagSeconds: 14_400,
    metering: { tells: 'the last use', by: 'service and region', lagSeconds: 14_400 },
    maxKeys: 2,
    keyless: 'IAM roles (instance profile, task role, IAM Roles Anywhere)',
  },
  'cloud-key/azure-app': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 60,
    keyless: 'Managed identities, workload identity federation',
  },
  'cloud-key/gcp-service-account': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: true,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 60,
    maxKeys: 10,
    keyless: 'Workload Identity Federation, service accounts attached to what runs in Google Cloud',
  },
  'signing-key/jwks': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    needsAdmin: false,
    revocation: 'api',
    revocationDelaySeconds: 300,
    propagationSeconds: 0,
    published: true,
  },
  'agent-token/opaque': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: true,
    needsAdmin: false,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 0,
    keyless: 'IAM roles (signed requests), signed tokens of a signing key',
    published: true,
  },
  'certificate-authority/x509': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    needsAdmin: false,
    revocation: 'api',
    takesAlong: SIGNED_BY_AUTHORITY,
    revocationDelaySeconds: 300,
    propagationSeconds: 0,
    published: true,
  },
  'certificate-authority/private-ca': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: false,
    canSuspend: false,
    needsAdmin: false,
    revocation: 'api',
    takesAlong: 'all certificates that it has signed end with it: agents ask for others by themselves',
    revocationDelaySeconds: 300,
    propagationSeconds: 0,
  },
  'certificate-authority/leaf': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    needsAdmin: false,
    revocation: 'api',
    revocationDelaySeconds: 300,
    takenLonger:
      'a verifier that asks for neither list nor OCSP, as @rekey/client/tls, takes a certificate until that ends by itself',
    propagationSeconds: 0,
    keyless: 'a key that its holder makes and keeps (POST /certificates)',
  },
  'oauth-client/rfc7592': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 30,
  },
  'oauth-client/client-secret': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: false,
    canSuspend: false,
    revocation: 'manual',
    revocationDelaySeconds: 300,
    propagationSeconds: 60,
  },
  'root/openai-admin': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 60,
    propagationSeconds: 30,
    lastUsedLagSeconds: 3600,
  },
  'root/pinecone-service-account': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: false,
    revocation: 'api',
    revocationDelaySeconds: 10,
    propagationSeconds: 30,
  },
  'database-root/postgresql-master': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: true,
    canSuspend: true,
    revocation: 'api',
    revocationDelaySeconds: 0,
    propagationSeconds: 0,
    lastUsedLagSeconds: 0,
    keyless: 'a master that the service rotates (RDS, Aurora)',
  },
  'root/by-hand': {
    overlap: { kind: 'dual', maxLive: 2 },
    canCreate: false,
    canSuspend: false,
    revocation: 'manual',
    task: true,
    revocationDelaySeconds: 0,
    propagationSeconds: 0,
  },
} as const satisfies Readonly<Record<string, Capabilities>>;

/** A type with its provider, e.g. `llm-key/openai`. */
export type ProviderKey = keyof typeof CAPABILITIES;

/** Whether its values can be suspended; one of a provider that nobody knows may be. */
export function canSuspend({
  type,
  provider,
}: {
  readonly type: string;
  readonly provider: string;
}): boolean {
  return capabilitiesOf(type, provider)?.canSuspend !== false;
}

/** What is known of a provider; undefined where nobody knows it. */
export function capabilitiesOf(type: string, provider: string): Capabilities | undefined {
  const key = `${type}/${provider}`;
  return Object.hasOwn(CAPABILITIES, key) ? CAPABILITIES[key as ProviderKey] : undefined;
}
