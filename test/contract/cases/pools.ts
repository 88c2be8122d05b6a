import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { chromaCloudProvider } from '../../../shared/providers/chroma-cloud/provider.ts';
import { clientSecretProvider } from '../../../shared/providers/client-secret/provider.ts';
import { cohereProvider } from '../../../shared/providers/cohere/provider.ts';
import type { KeyTarget } from '../../../shared/providers/http/target.ts';
import { FakeChromaCloud } from '../../fakes/chroma-cloud.ts';
import { FakeClientSecrets } from '../../fakes/client-secrets.ts';
import { FakeCohere } from '../../fakes/cohere.ts';
import { toDelete, type KeyConsole } from '../../fakes/console-keys.ts';
import type { UpstreamServer } from '../../fakes/upstream.ts';
import { MemoryClaims } from '../../support/claims.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

/** An upstream with a console, played. */
interface Played extends AsyncDisposable {
  readonly server: UpstreamServer;
  readonly console: KeyConsole;
}

interface PoolCase<T extends KeyTarget> extends Pick<
  KeyFaults<T>,
  'provider' | 'target' | 'takes' | 'isTest' | 'beside'
> {
  readonly start: () => Promise<Played>;
  /** Below which the API answers. */
  readonly path: string;
  readonly ownerOf: (target: T) => string;
}

/** The case of a provider whose keys a person makes and ends: what it takes is kept beside it, one pool for each target. */
function poolCase<T extends KeyTarget>(its: PoolCase<T>): KeyFaults<T> {
  let fake: Played;
  const claims = new MemoryClaims();
  const of = (target: T | undefined) => fake.console.pool.filter(({ id }) => isOf(id, target));
  const isOf = (id: string, target: T | undefined): boolean =>
    target === undefined || fake.console.owners.get(id) === its.ownerOf(target);
  const { start, path, ownerOf: _owner, ...rest } = its;
  return {
    ...rest,
    pooled: true,
    start: async () => {
      fake = await start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => ({ server: fake.server, keys: fake.console.keys }),
    url: () => `${fake.server.url}${path}`,
    target: (label) => {
      const target = its.target(label);
      fake.console.fill(its.ownerOf({ ...target, label } as T), 12);
      return target;
    },
    admin: (_url, target) => ({ pool: of(target) }),
    claims: ({ label }) => claims.of(label),
    endByHand: async (byHand) => {
      for (const name of toDelete(byHand)) fake.console.delete(name);
      return Promise.resolve();
    },
    addForeign: (target) => {
      fake.console.mint(its.ownerOf(target), `made-by-hand-${fake.console.keys.all.size}`);
    },
    addExisting: (target) => {
      const { name, value } = fake.console.mint(its.ownerOf(target), `existing-${target.label}`);
      fake.console.pool.push({ id: name, value, inUse: true });
      return { id: name, value };
    },
    markOf: ({ value }) => {
      const claim = claims.all.get(fingerprint(new Redacted(value)));
      return claim && { label: claim.credentialId, generation: claim.generation };
    },
  };
}

/** Cohere's provider over a fake of its own. */
export function cohereCase(): KeyFaults<ReturnType<typeof cohereProvider.target>> {
  return poolCase({
    provider: cohereProvider,
    start: async () => FakeCohere.start(),
    path: '/v1',
    ownerOf: ({ organization }) => organization,
    target: (label) => ({ organization: `org-${label}` }),
    takes: async (value, { baseUrl = '' }) => {
      const headers = { authorization: `Bearer ${value}` };
      return (await fetch(`${baseUrl}/check-api-key`, { method: 'POST', headers })).ok;
    },
    isTest: () => true,
  });
}

/** Chroma Cloud's provider over a fake of its own. */
export function chromaCloudCase(): KeyFaults<ReturnType<typeof chromaCloudProvider.target>> {
  return poolCase({
    provider: chromaCloudProvider,
    start: async () => FakeChromaCloud.start(),
    path: '',
    ownerOf: ({ tenant }) => tenant,
    target: (label) => ({ tenant: `tenant-${label}`, databases: ['documents'] }),
    takes: async (value, { baseUrl = '' }) =>
      (await fetch(`${baseUrl}/api/v2/auth/identity`, { headers: { 'x-chroma-token': value } })).ok,
    isTest: () => true,
  });
}

/** The provider of clients' shared secrets over a fake authorization server of its own. */
export function clientSecretCase(): KeyFaults<ReturnType<typeof clientSecretProvider.target>> {
  let fake: FakeClientSecrets;
  return poolCase({
    provider: clientSecretProvider,
    start: async () => (fake = await FakeClientSecrets.start()),
    path: '/token',
    ownerOf: ({ clientId }) => clientId,
    target: (label) => ({
      clientId: `client-${label}`,
      authentication: 'client_secret_basic',
      endpoint: 'token',
      secretsAtOnce: 14,
    }),
    takes: async (value, { clientId }) => fake.takes(clientId, value),
    isTest: () => true,
    beside: ({ clientId }) => ({ client_id: clientId }),
  });
}
