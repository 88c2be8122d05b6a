import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { certificatesBy } from '../../../lambdas/control-api/certificates.ts';
import { describeRevocations } from '../../contract/describe-revocations.ts';
import { MemoryRevocations } from '../../support/directory.ts';
import { bodyOf, CALLER, eventOf, fakeServices } from './fakes.ts';

describeRevocations('memory', () => new MemoryRevocations());

describe('revoking a certificate at the API', () => {
  const body = { incident: 'INC-1', reason: 'stolen host' };
  const call = async (serial: string, given: object = body) => {
    const services = fakeServices();
    const path = `/v1/credentials/shop-ca/certificates/${serial}/revoke`;
    const { response } = await answer(eventOf('POST', path, { body: given }), services);
    return { status: response.statusCode, body: bodyOf(response), asked: services.asked };
  };

  it.each(['5f0c9a', '5F:0C:9A'])(
    'is done in the name of the caller, by its number as tools write it: %s',
    async (serial) => {
      const done = await call(serial);
      expect([done.status, done.body]).toMatchObject([200, { changed: true, dryRun: false, listed: true }]);
      const trigger = { kind: 'operator', actor: CALLER, reason: 'stolen host' };
      expect(done.asked).toEqual([
        {
          method: 'revokeCertificate',
          input: { name: 'shop-ca', serial: '5f0c9a', incidentId: 'INC-1', trigger, dryRun: false },
        },
      ]);
    },
  );

  it('wants a number, an incident and a reason', async () => {
    expect(await call('leaf.pem')).toMatchObject({ status: 400, asked: [] });
    expect(await call('5f0c9a', { reason: 'x' })).toMatchObject({ status: 400, asked: [] });
    expect(await call('5f0c9a', { incident: 'INC-1' })).toMatchObject({ status: 400, asked: [] });
  });

  it('is refused with what to do, where no certificate authorities are deployed', async () => {
    const { revokeCertificate } = certificatesBy(async () => Promise.reject(new Error('nobody is there')));
    const trigger = { kind: 'operator', actor: CALLER } as const;
    const wish = { name: 'shop-ca', serial: '41', incidentId: 'INC-1', trigger, dryRun: false };
    await expect(revokeCertificate(wish)).rejects.toMatchObject({ code: 'ERR_DECLARATION', field: 'types' });
  });
});
