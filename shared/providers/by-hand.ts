import type { Credential, CredentialHandle } from '../domain/credential.ts';
import { isRekeyError } from '../domain/errors.ts';
import type { CredentialProvider } from './provider.ts';

type Tell = (target: unknown, handle: CredentialHandle) => string;

/** The pure part of each provider that tells how to revoke by hand, without its driver. */
const BY_HAND: Readonly<Record<string, () => Promise<Tell>>> = {
  'database/postgresql': tellOfPostgresql,
  'database-root/postgresql-master': tellOfPostgresql,
  'root/openai-admin': async () => tellOf((await import('./openai-admin/provider.ts')).openaiAdminProvider),
  'root/pinecone-service-account': async () =>
    tellOf((await import('./pinecone-service-account/provider.ts')).pineconeServiceAccountProvider),
  'llm-key/openai': async () => tellOf((await import('./openai/provider.ts')).openaiProvider),
  'vector-database-key/weaviate': async () =>
    tellOf((await import('./weaviate/provider.ts')).weaviateProvider),
  'vector-database-key/qdrant-cloud': async () =>
    tellOf((await import('./qdrant-cloud/provider.ts')).qdrantCloudProvider),
  'vector-database-key/qdrant': async () => tellOf((await import('./qdrant/provider.ts')).qdrantProvider),
  'vector-database-key/qdrant-static': async () =>
    tellOf((await import('./qdrant-static/provider.ts')).qdrantStaticProvider),
  'vector-database-key/chroma': async () => tellOf((await import('./chroma/provider.ts')).chromaProvider),
  'llm-key/cohere': async () => tellOf((await import('./cohere/provider.ts')).cohereProvider),
  'vector-database-key/chroma-cloud': async () =>
    tellOf((await import('./chroma-cloud/provider.ts')).chromaCloudProvider),
  'llm-key/google': async () => tellOf((await import('./google/provider.ts')).googleProvider),
  'llm-key/azure-openai': async () =>
    tellOf((await import('./azure-openai/provider.ts')).azureOpenaiProvider),
  'llm-key/bedrock': async () => tellOf((await import('./bedrock/provider.ts')).bedrockProvider),
  'cloud-key/gcp-service-account': async () =>
    tellOf((await import('./gcp-service-account/provider.ts')).gcpServiceAccountProvider),
  'cloud-key/azure-app': async () => tellOf((await import('./azure-app/provider.ts')).azureAppProvider),
  'oauth-client/rfc7592': async () => tellOf((await import('./rfc7592/provider.ts')).rfc7592Provider),
  'oauth-client/client-secret': async () =>
    tellOf((await import('./client-secret/provider.ts')).clientSecretProvider),
  'llm-key/anthropic': async () => tellOf((await import('./anthropic/provider.ts')).anthropicProvider),
  'llm-key/mistral': async () => tellOf((await import('./mistral/provider.ts')).mistralProvider),
  'vector-database-key/pinecone': async () =>
    tellOf((await import('./pinecone/provider.ts')).pineconeProvider),
  'signing-key/jwks': async () => {
    const { endedByHand } = await import('./identity/by-hand.ts');
    return (target, handle) => endedByHand('jwks', target, handle);
  },
  'certificate-authority/x509': async () => {
    const { endedByHand } = await import('./identity/by-hand.ts');
    return (target, handle) => endedByHand('bundles', target, handle);
  },
  'certificate-authority/private-ca': async () => {
    const { endedByHand } = await import('./identity/by-hand.ts');
    return (target, handle) => endedByHand('bundles', target, handle);
  },
  'agent-token/opaque': async () => {
    const { endedByHand } = await import('./identity/by-hand.ts');
    return (target, handle) => endedByHand('tokens', target, handle);
  },
  'cloud-key/aws-iam': async () => {
    const [{ manualRevocation }, { readTarget }] = await Promise.all([
      import('./aws-iam/by-hand.ts'),
      import('./aws-iam/target.ts'),
    ]);
    return (target, handle) => manualRevocation(readTarget(target), handle);
  },
};

async function tellOfPostgresql(): Promise<Tell> {
  const [{ manualRevocation }, { readTarget }] = await Promise.all([
    import('./postgresql/by-hand.ts'),
    import('./postgresql/target.ts'),
  ]);
  return (target, handle) => manualRevocation(readTarget(target), handle);
}

/** Of a provider that has no driver to leave out. */
function tellOf<T, M>(provider: CredentialProvider<T, M>): Tell {
  return (target, handle) => provider.manualRevocation?.(provider.storedTarget(target), handle) ?? '';
}

/** What a person types at the upstream to end one of a credential's handles. */
export interface ManualRevocation {
  readonly handle: CredentialHandle;
  readonly text: string;
}

/**
 * What a person types at the upstream for the day on which Rekey is down: for everything of the credential that may work.
 * Empty where its provider can't tell.
 */
export async function revocationsByHand(
  credential: Pick<Credential, 'type' | 'provider' | 'target' | 'live' | 'current'>,
): Promise<readonly ManualRevocation[]> {
  const { type, provider, target, live, current } = credential;
  const key = `${type}/${provider}`;
  const tell = Object.hasOwn(BY_HAND, key) ? await BY_HAND[key]?.() : undefined;
  if (tell === undefined) return [];
  const handles = [...(current === undefined ? [] : [current.handle]), ...live];
  // A slot is ended as a whole, whatever its generation.
  const slots = handles.filter(({ id }, index) => handles.findIndex((each) => each.id === id) === index);
  return slots.flatMap((handle) => {
    try {
      return [{ handle, text: tell(target, handle) }];
    } catch (error) {
      // A handle that the target no longer names: showing the others is worth more than a refusal.
      if (!isRekeyError(error)) throw error;
      return [];
    }
  });
}
