import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { azureAppCase } from '../../contract/cases/azure-app.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { refusalOf } from '../../support/refused.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

describe('Entra app secrets', () => {
  describeProvider('Entra', keyHarness(azureAppCase()));
  describeKeyFaults('Entra', azureAppCase());

  describe('have of their own', () => {
    takeNoTimeToWait();
    const azure = azureAppCase();
    const { provider } = azure;
    const NOW = Date.parse('2026-11-26T02:00:00Z');
    const target = (declared: object = {}) =>
      provider.target({ ...azure.target('app'), label: 'app', baseUrl: azure.url(), ...declared });
    const context = (secret: object = {}, more: Partial<IssueContext> = {}): IssueContext => ({
      clock: () => NOW,
      generation: 1,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () =>
        Promise.resolve(
          new Redacted(JSON.stringify({ ...azure.admin(azure.url()), baseUrl: azure.url(), ...secret })),
        ),
      ...more,
    });

    beforeAll(async () => azure.start());
    beforeEach(() => {
      azure.fake().server.asked.length = 0;
      azure.fake().lag = 0;
    });
    afterAll(async () => azure.stop());

    it('what an app logs in with in the secret, and whose it is', async () => {
      const one = target();
      const { material, handle } = await provider.issue(one, randomUUID(), context());
      const secret = JSON.parse(provider.serialize(material).reveal()) as Record<string, string>;
      expect(secret).toEqual({
        tenantId: one.tenantId,
        clientId: one.clientId,
        clientSecret: azure.fake().keys.all.get(handle.id)?.value,
        clientSecretId: handle.id,
        of: provider.identity?.(one),
        baseUrl: azure.url(),
      });
      const again = provider.material(provider.serialize(material));
      expect(again.reveal()).toEqual(material.reveal());
    });

    it('the shape of a secret that was there before, with all else that is in it', async () => {
      const one = target();
      const { material } = await provider.issue(one, randomUUID(), context());
      const like = new Redacted('{"clientSecret":"old","tenantId":"t","role":"reader"}');
      const secret = JSON.parse(provider.serialize(material, like).reveal()) as object;
      expect(secret).toEqual({ clientSecret: material.reveal().apiKey, tenantId: 't', role: 'reader' });
    });

    it.for(['tenantId', 'clientId'])('no secret with the %s of another app', async (field) => {
      const one = target();
      const { material, handle } = await provider.issue(one, randomUUID(), context());
      const fields = JSON.parse(provider.serialize(material).reveal()) as object;
      const other = provider.material(new Redacted(JSON.stringify({ ...fields, [field]: randomUUID() })));
      const error = await refusalOf(() => provider.assertBelongs(one, handle, other));
      expect(error).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH', field });
    });

    it.for(['bare-secret', '{"clientId":"a"}', '{"clientSecret":7}'])(
      'no secret of the form %s',
      async (text) => {
        const error = await refusalOf(() => provider.material(new Redacted(text)));
        expect(error.code).toBe('ERR_MATERIAL_MISMATCH');
      },
    );

    it.for([
      [1, '2026-12-27T02:00:00.000Z'],
      [90, '2027-05-25T02:00:00.000Z'],
    ] as const)(
      'an end after an interval of %i days and a margin, not after two years',
      async ([days, end]) => {
        const { handle } = await provider.issue(
          target(),
          randomUUID(),
          context({}, { intervalSeconds: days * 86_400 }),
        );
        expect(azure.fake().ends.get(handle.id)).toBe(end);
      },
    );

    it('a directory whose copies are behind, which is waited for where a secret is made and where one ends', async () => {
      const one = target();
      azure.fake().lag = 2;
      const issued = await provider.issue(one, randomUUID(), context());
      await provider.activate?.(one, '', issued, context());
      const done = await provider.revoke(one, issued.handle, { endSessions: true }, context());
      expect(done).toMatchObject({ confirmed: true, detail: `${issued.handle.id} is gone` });
    });

    it('a new secret that counts only once it was taken three times in a row', async () => {
      const one = target();
      const issued = await provider.issue(one, randomUUID(), context());
      const { server } = azure.fake();
      let tests = 0;
      server.fail({ kind: 'reset' }, (asked) => {
        if (azure.isTest(asked)) tests++;
        return false;
      });
      server.fail({ kind: 'reply', status: 401, body: {} }, (asked) => azure.isTest(asked) && tests === 3);
      await provider.activate?.(one, '', issued, context());
      server.heal();
      expect(tests).toBe(6);
    });

    it('a removal that somebody else was faster with, which is success', async () => {
      const one = target();
      const { handle } = await provider.issue(one, randomUUID(), context());
      azure.fake().server.fail({ kind: 'reply', status: 400, body: {} }, ({ path }) => {
        if (!path.endsWith('/removePassword')) return false;
        return azure.fake().keys.all.delete(handle.id);
      });
      const done = await provider.revoke(one, handle, { endSessions: true }, context());
      expect(done.confirmed).toBe(true);
    });

    it('no login for another tenant, or at another host, than the administrative secret is for', async () => {
      const tenant = await refusalOf(async () =>
        provider.preflight(target({ tenantId: randomUUID() }), context()),
      );
      expect(tenant).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.tenantId' });
      const host = await refusalOf(async () =>
        provider.preflight(target(), context({ baseUrl: 'https://login.microsoftonline.us' })),
      );
      expect(host).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.baseUrl' });
      const usual = await refusalOf(async () =>
        provider.preflight(target(), context({ baseUrl: undefined })),
      );
      expect(usual).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.baseUrl' });
      expect(azure.fake().server.asked).toEqual([]);
    });

    it('no Graph at a private address, whatever the administrative secret says', async () => {
      const error = await refusalOf(async () =>
        provider.preflight(target(), context({ graphUrl: 'https://169.254.169.254/v1.0' })),
      );
      expect(error).toMatchObject({ code: 'ERR_DECLARATION', field: 'admin.adminUrl' });
    });

    it.for([
      [{ tenantId: 'contoso.onmicrosoft.com' }, 'target.tenantId'],
      [{ clientId: 'my-app' }, 'target.clientId'],
      [{ graphUrl: 'https://graph.microsoft.us' }, 'target.graphUrl'],
    ] as const)('no target with %j', async ([declared, field]) => {
      const error = await refusalOf(() => target(declared));
      expect(error).toMatchObject({ code: 'ERR_DECLARATION', field });
    });

    it('a way by hand for an app of that id', () => {
      const one = target();
      expect(provider.manualRevocation?.(one, { id: 'k1', generation: 1 })).toContain(
        `az ad app credential delete --id ${one.clientId} --key-id k1`,
      );
    });
  });
});
