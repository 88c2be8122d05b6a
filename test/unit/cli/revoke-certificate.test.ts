import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CertificateRevoked } from '../../../shared/api/messages.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { refusal, rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

const SERIAL = '5f0c9a';
const ROUTE = `POST /v1/credentials/shop-ca/certificates/${SERIAL}/revoke`;
const ARGS = ['revoke', 'shop-ca', '--certificate', SERIAL, '--incident', 'INC-1', '--reason', 'stolen host'];

/** The API answers as if the certificate were this. */
function answers(more: Partial<CertificateRevoked> = {}): void {
  api.routes[ROUTE] = ({ body }) => {
    const { dryRun } = body as { dryRun: boolean };
    const answer: CertificateRevoked = {
      dryRun,
      changed: true,
      serial: SERIAL,
      authority: 'ca-1',
      id: 'spiffe://agents.shop.example/agent/checkout',
      agent: 'checkout',
      ...(dryRun ? {} : { revokedAt: '2026-11-26T08:00:00.000Z' }),
      notAfter: '2026-11-27T08:00:00.000Z',
      listed: true,
      ...more,
    };
    return { body: answer };
  };
}

describe('rekey revoke --certificate', () => {
  it('with --yes asks for nothing: the first request is the revocation', async () => {
    answers();
    const { exit, stdout } = await rekey(api, [...ARGS, '--yes']);
    expect(exit).toBe(0);
    expect(stdout).toContain(`revoked: certificate ${SERIAL} of spiffe://agents.shop.example/agent/checkout`);
    expect(api.seen.map(({ body }) => body)).toEqual([
      { incident: 'INC-1', reason: 'stolen host', dryRun: false },
    ]);
  });

  it('with --dry-run says whose it is, until when, and that the agent gets another', async () => {
    answers();
    const { exit, stdout } = await rekey(api, [...ARGS, '--dry-run']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(
      /agent checkout\), which ends at 2026-11-27[^]*gets another one[^]*Nothing was changed/,
    );
    expect(api.seen.map(({ body }) => (body as { dryRun: boolean }).dryRun)).toEqual([true]);
  });

  it('says where it was revoked before, and where the list comes later', async () => {
    answers({ changed: false, listed: false });
    const { exit, stdout } = await rekey(api, [...ARGS, '--yes']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/revoked already[^]*could not be signed yet/);
  });

  it('says by what AWS tells it, and when, where AWS has issued it', async () => {
    answers({ tellsBy: ['crl', 'ocsp'] });
    const { stdout } = await rekey(api, [...ARGS, '--yes']);
    expect(stdout).toContain(
      'AWS Private CA tells it: its list within half an hour or so, OCSP within an hour.',
    );
  });

  it('wants a word of somebody, or --yes', async () => {
    answers();
    const { exit, stderr } = await rekey(api, ARGS);
    expect([exit, stderr]).toEqual([2, expect.stringContaining('--yes')]);
    expect(api.seen).toHaveLength(1);
  });

  it.each([
    ['two authorities', ['other-ca']],
    ['a value that was found', ['--leaked', '-']],
    ['no replacement', ['--no-replace']],
  ])('does not go with %s', async (_what, more) => {
    const { exit } = await rekey(api, [...ARGS, ...more, '--yes']);
    expect([exit, api.seen]).toEqual([2, []]);
  });

  it('says what the API refuses', async () => {
    api.routes[ROUTE] = refusal(
      new RekeyError('ERR_NOT_FOUND', 'no certificate 5f0c9a of shop-ca counts now'),
    );
    const { exit, stderr } = await rekey(api, [...ARGS, '--yes']);
    expect([exit, stderr]).toEqual([1, expect.stringContaining('counts now')]);
  });
});
