import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { endKey, makeKey } from '../../../shared/http/kms.ts';
import { kmsSigner } from '../../../shared/http/kms-signer.ts';
import { FakeKms } from '../../fakes/kms.ts';

const ABOUT = {
  spec: 'ECC_NIST_P256',
  description: 'a',
  type: 'certificate-authority',
  stage: 'test',
  set: 'a',
};

describe('a signer in KMS', () => {
  it('signs what any verifier takes, also what is longer than KMS takes', async () => {
    const kms = new FakeKms();
    const signer = kmsSigner(kms, await makeKey(kms, ABOUT));
    const key = createPublicKey({ key: Buffer.from(await signer.publicKey()), format: 'der', type: 'spki' });
    for (const length of [0, 1, 4096, 100_000]) {
      const bytes = new Uint8Array(length).fill(7);
      const signature = await signer.sign(bytes);
      expect(verify('sha256', bytes, key, signature)).toBe(true);
      expect(verify('sha256', Buffer.concat([bytes, bytes, Buffer.from('a')]), key, signature)).toBe(false);
    }
  });

  it('signs nothing any more once its key has ended', async () => {
    const kms = new FakeKms();
    const arn = await makeKey(kms, ABOUT);
    for (let twice = 0; twice < 2; twice++) await endKey(kms, arn);
    await expect(kmsSigner(kms, arn).sign(new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_REJECTED' });
  });

  it('stops and pages where its role may not', async () => {
    const kms = new FakeKms();
    const signer = kmsSigner(kms, await makeKey(kms, ABOUT));
    kms.denied.add('Sign');
    await expect(signer.sign(new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
  });
});
