import { createHash } from 'node:crypto';
import { AwsV4Signer } from 'aws4fetch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sign } from '../../../shared/adapters/signature.ts';

const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};

/** The same request signed by the library that the CLI and the local stack use. */
async function byLibrary(
  path: string,
  headers: Record<string, string>,
  body: string,
  service: string,
  time: Date,
  sessionToken?: string,
): Promise<string | null> {
  const content =
    service === 's3' ? { 'x-amz-content-sha256': createHash('sha256').update(body).digest('hex') } : {};
  const signer = new AwsV4Signer({
    url: `https://upstream.example.com${path}`,
    method: 'PUT',
    headers: { ...headers, ...content },
    body,
    ...credentials,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    service,
    region: 'eu-central-1',
    datetime: time.toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
    allHeaders: true,
  });
  return (await signer.sign()).headers.get('authorization');
}

describe('signature', () => {
  it('is the one of AWS’s published example', () => {
    const headers = sign(
      {
        method: 'GET',
        host: 'example.amazonaws.com',
        path: '/',
        headers: {},
        body: '',
      },
      {
        service: 'service',
        region: 'us-east-1',
        credentials,
        time: new Date('2015-08-30T12:36:00Z'),
      },
    );
    expect(headers['authorization']).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, ' +
        'Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    );
  });

  it('is the library’s for a query in the order of its names', async () => {
    const query = new URLSearchParams({
      'continuation-token': '1/+a==',
      'list-type': '2',
      prefix: 'intents/tenant=acme/',
    });
    const path = `/bucket?${query.toString()}`;
    const time = new Date('2026-11-26T12:00:00Z');
    const request = { method: 'PUT', host: 'upstream.example.com', path, headers: {}, body: '' };
    const own = sign(request, { service: 's3', region: 'eu-central-1', credentials, time });
    expect(own['authorization']).toBe(await byLibrary(path, {}, '', 's3', time));
  });

  it('is the library’s for any path, header and body', async () => {
    const name = fc.constantFrom('x-amz-target', 'content-type', 'if-none-match', 'x-amz-checksum-sha256');
    const value = fc.stringMatching(/^[!-~]{1,20}( {1,3}[!-~]{1,20})?$/);
    // A slash in a key is sent as a slash: S3 takes an encoded one for it, and the two sides would sign differently.
    const segment = fc
      .string({ minLength: 1, unit: 'grapheme' })
      .filter((text) => !/^\.{1,2}$|\//.test(text));
    await fc.assert(
      fc.asyncProperty(
        fc.array(segment, { maxLength: 4 }),
        fc.dictionary(name, value),
        fc.string({ unit: 'grapheme' }),
        fc.constantFrom('s3', 'lambda', 'dynamodb'),
        fc.option(fc.stringMatching(/^[A-Za-z0-9/+=]{1,60}$/), { nil: undefined }),
        fc.date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true }),
        async (segments, headers, body, service, sessionToken, time) => {
          const path = `/${segments.map(encodeURIComponent).join('/')}`;
          const signed = sign(
            { method: 'PUT', host: 'upstream.example.com', path, headers, body },
            {
              service,
              region: 'eu-central-1',
              credentials: { ...credentials, ...(sessionToken === undefined ? {} : { sessionToken }) },
              time,
            },
          );
          expect(signed['authorization']).toBe(
            await byLibrary(path, headers, body, service, time, sessionToken),
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});
