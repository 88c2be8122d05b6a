import { createPublicKey, verify } from 'node:crypto';
import { AwsV4Signer } from 'aws4fetch';
import { describe, expect, it } from 'vitest';
import { InstanceKey } from '../../../client/src/agent/instance-key.ts';
import { sigV4 } from '../../../client/src/sigv4.ts';

const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI', sessionToken: 'token' };

describe('sigV4', () => {
  it.each([
    ['POST', '{"holds":[]}'],
    ['GET', ''],
  ] as const)('signs a %s as another implementation does', async (method, body) => {
    const url = new URL(
      'https://abc.execute-api.eu-central-1.amazonaws.com/agents/a/sessions/x.1%2B/heartbeat',
    );
    const sign = sigV4({ credentials: async () => keys, region: async () => 'eu-central-1' });
    const headers = { 'content-type': 'application/json', 'if-none-match': '"tag"' };
    const signed = await sign({ method, url, headers, body });
    expect(signed).toMatchObject(headers);
    const [, names = ''] = /SignedHeaders=([^,]+)/.exec(signed['authorization'] ?? '') ?? [];
    // The same headers, so that both sign the same.
    const known = Object.entries(signed).filter(([name]) => names.split(';').includes(name));
    const other = new AwsV4Signer({
      ...keys,
      method,
      url: url.href,
      ...(body === '' ? {} : { body }),
      headers: known.filter(([name]) => name !== 'x-amz-date' && name !== 'x-amz-security-token'),
      service: 'execute-api',
      region: 'eu-central-1',
      datetime: signed['x-amz-date'] ?? '',
      allHeaders: true,
    });
    const expected = (await other.sign()).headers.get('authorization');
    expect(signed['authorization']?.replaceAll(', ', ',')).toBe(expected?.replaceAll(', ', ','));
  });

  it('asks for the credentials each time: they rotate too', async () => {
    let asked = 0;
    const credentials = async (): Promise<typeof keys> => ({ ...keys, accessKeyId: `AKID${++asked}` });
    const sign = sigV4({ credentials, region: 'eu-central-1' });
    const request = { method: 'GET', url: new URL('https://a.example/x'), headers: {}, body: '' } as const;
    await sign(request);
    expect((await sign(request))['authorization']).toContain('Credential=AKID2/');
  });
});

describe('the key of an instance', () => {
  it('signs what its public half verifies, and shows nothing else', () => {
    const key = new InstanceKey();
    const [header = '', payload = '', signature = ''] = key.sign({ closed: true }).split('.');
    const jwk = createPublicKey({ key: { ...key.jwk }, format: 'jwk' });
    const text = Buffer.from(`${header}.${payload}`);
    expect(verify(null, text, jwk, Buffer.from(signature, 'base64url'))).toBe(true);
    expect(Object.keys(key.jwk).sort()).toEqual(['crv', 'kty', 'x']);
    expect(JSON.stringify(key)).not.toContain('"d"');
  });
});
