import { randomUUID } from 'node:crypto';
import { pineconeProvider as provider } from '../../../shared/providers/pinecone/provider.ts';
import { FakePinecone } from '../../fakes/pinecone.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

type PineconeTarget = ReturnType<typeof provider.target>;

/** Pinecone's provider over a fake of its own, whose login is at the same address: so both can be made to go wrong. */
export function pineconeCase(): KeyFaults<PineconeTarget> {
  let fake: FakePinecone;
  return {
    provider,
    start: async () => {
      fake = await FakePinecone.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: () => ({ project: randomUUID(), roles: ['ControlPlaneViewer', 'DataPlaneEditor'] }),
    admin: (url) => ({ clientId: fake.clientId, clientSecret: fake.clientSecret, loginUrl: url }),
    takes: async (value) => {
      const headers = { 'api-key': value, 'x-pinecone-api-version': '2026-04' };
      return (await fetch(`${fake.server.url}/indexes`, { headers })).ok;
    },
    isTest: ({ path }) => path === '/indexes',
    addForeign: ({ project }, name = 'made by hand') => {
      fake.add(project, name);
    },
    addExisting: ({ project, roles }) => fake.add(project, 'made by hand', roles),
    showsNothing: true,
    fill: ({ project }) => {
      fake.quota = fake.keys.of(project).length;
      return () => (fake.quota = Infinity);
    },
  };
}
