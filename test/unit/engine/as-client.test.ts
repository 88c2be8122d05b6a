import { expect, test } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { asClient } from '../../../shared/engine/families/client.ts';
import type { Stage } from '../../../shared/ports/vault.ts';
import { TERMS } from '../../support/families.ts';

const stored = (texts: Partial<Record<Stage, object>>) => ({
  readClientSecret: async (_secret: string, stage: Stage) => {
    const text = texts[stage];
    return Promise.resolve(text && new Redacted(JSON.stringify(text)));
  },
});

test('the hosts that the secret of a client names go with each request', async () => {
  const allowedHosts = ['login.example', '*.idp.example'];
  const named = stored({ AWSCURRENT: { client_secret: 's', allowedHosts } });
  const seen = await asClient(named, TERMS, async (_secret, { client }) =>
    Promise.resolve(client.allowedHosts),
  );
  expect(seen).toEqual(allowedHosts);
  const free = stored({ AWSCURRENT: { client_secret: 's' } });
  expect(
    await asClient(free, TERMS, async (_secret, { client }) => Promise.resolve(client.allowedHosts)),
  ).toBe(undefined);
});

test('one that names no hosts where it should is not sent anywhere', async () => {
  for (const allowedHosts of ['login.example', [7], ['https://login.example']]) {
    let sent = 0;
    const work = asClient(stored({ AWSCURRENT: { client_secret: 's', allowedHosts } }), TERMS, async () =>
      Promise.resolve(sent++),
    );
    await expect(work).rejects.toMatchObject({ code: 'ERR_DECLARATION', field: 'client.secret' });
    expect(sent).toBe(0);
  }
});

test('a host that the current version is not for is not asked with another version', async () => {
  const both = stored({
    AWSCURRENT: { client_secret: 'new', allowedHosts: ['login.example'] },
    AWSPREVIOUS: { client_secret: 'old' },
  });
  let sent = 0;
  const work = asClient(both, TERMS, async () => {
    sent++;
    return Promise.reject(
      new RekeyError('ERR_DECLARATION', 'not for this host', { field: 'server.tokenEndpoint' }),
    );
  });
  await expect(work).rejects.toMatchObject({ field: 'server.tokenEndpoint' });
  expect(sent).toBe(1);
});
