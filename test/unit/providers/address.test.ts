import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import { isRekeyError } from '../../../shared/domain/errors.ts';
import { exchange } from '../../../shared/http/exchange.ts';
import { isPublic, parseBaseUrl, publicLookup, type Resolve } from '../../../shared/http/address.ts';
import { UpstreamServer } from '../../fakes/upstream.ts';

/** Base addresses that lead, or may lead, somewhere else than to the public internet. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'loopback in every notation of IPv4': [
    'https://127.0.0.1',
    'https://127.0.0.1/v1',
    'https://127.0.0.1:8443',
    'https://127.1',
    'https://127.0.1',
    'https://127.255.255.254',
    'https://2130706433',
    'https://017700000001',
    'https://0x7f000001',
    'https://0x7f.0.0.1',
    'https://0177.0.0.1',
    'https://0177.0x0.0.01',
    'https://127.0.0.1.',
    'https://127%2E0%2E0%2E1',
    'https://%31%32%37.0.0.1',
    'https:127.0.0.1',
    String.raw`https:\\127.0.0.1`,
    'https:/127.0.0.1',
    'https://127.0.0.1\t',
    'https://127.0.\n0.1',
  ],
  'unicode that stands for digits and dots': [
    'https://127。0。0。1',
    'https://127．0．0．1',
    'https://127｡0｡0｡1',
    'https://①②⑦.⓪.⓪.①',
    'https://１２７.０.０.１',
    'https://169。254。169。254',
  ],
  'private networks': [
    'https://10.0.0.1',
    'https://10.255.255.255',
    'https://167772161',
    'https://0xa.1',
    'https://012.0.0.1',
    'https://172.16.0.1',
    'https://172.31.255.255',
    'https://0xac.16.0.1',
    'https://192.168.0.1',
    'https://192.168.1',
    'https://3232235521',
  ],
  'metadata services': [
    // AWS, GCP, Azure, Oracle, DigitalOcean; in other notations
    'https://169.254.169.254',
    'https://169.254.169.254/latest/meta-data/iam/security-credentials/',
    'https://2852039166',
    'https://0xa9fea9fe',
    'https://0251.0376.0251.0376',
    'https://0xa9.0xfe.0xa9.0xfe',
    'https://169.254.43518',
    'https://[::ffff:169.254.169.254]',
    'https://[::ffff:a9fe:a9fe]',
    // Credentials of ECS tasks and EKS pods, DNS and time of AWS
    'https://169.254.170.2',
    'https://169.254.170.23',
    'https://169.254.169.253',
    'https://169.254.169.123',
    'https://[fd00:ec2::254]',
    'https://[fd00:ec2::23]',
    'https://[fd00:ec2::253]',
    // GCP, Azure's host, Alibaba, Oracle before, OpenStack
    'https://[fd20:ce::254]',
    'https://168.63.129.16',
    'https://[::ffff:168.63.129.16]',
    'https://100.100.100.200',
    'https://192.0.0.192',
    'https://[fe80::a9fe:a9fe]',
  ],
  'what is nobody’s, everybody’s or an example’s': [
    'https://0.0.0.0',
    'https://0',
    'https://0.1.2.3',
    'https://100.64.0.1',
    'https://100.127.255.255',
    'https://192.0.2.1',
    'https://192.88.99.1',
    'https://198.18.0.1',
    'https://198.19.255.255',
    'https://198.51.100.1',
    'https://203.0.113.1',
    'https://224.0.0.1',
    'https://239.255.255.255',
    'https://240.0.0.1',
    'https://255.255.255.255',
    'https://4294967295',
  ],
  'IPv6 that is loopback, local, reserved or many': [
    'https://[::1]',
    'https://[0:0:0:0:0:0:0:1]',
    'https://[0000:0000:0000:0000:0000:0000:0000:0001]:8443',
    'https://[::]',
    'https://[fc00::1]',
    'https://[fdff:ffff::1]',
    'https://[fe80::1]',
    'https://[febf::1]',
    'https://[fec0::1]',
    'https://[ff02::1]',
    'https://[100::1]',
    'https://[2001:db8::1]',
    'https://[3fff::1]',
    'https://[5f00::1]',
    'https://[4000::1]',
    'https://[2001:10::1]',
    'https://[2001:20::1]',
  ],
  'IPv4 within IPv6': [
    'https://[::ffff:127.0.0.1]',
    'https://[::ffff:7f00:1]',
    'https://[0:0:0:0:0:ffff:10.0.0.1]',
    'https://[::127.0.0.1]',
    'https://[::7f00:1]',
    'https://[::10.0.0.1]',
    'https://[::ffff:0:127.0.0.1]',
    'https://[64:ff9b::127.0.0.1]',
    'https://[64:ff9b::a9fe:a9fe]',
    'https://[64:ff9b:1::10.0.0.1]',
    'https://[2002:7f00:1::]',
    'https://[2002:a9fe:a9fe::1]',
    'https://[2002:c0a8:1::1]',
    'https://[2001:0:7f00:1::]',
    'https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]',
  ],
  'no address of an API': [
    'https://user@api.example.com',
    'https://user:password@api.example.com',
    'https://api.example.com@127.0.0.1',
    'https://127.0.0.1#@api.example.com',
    'https://api.example.com#there',
    'https://api.example.com?to=127.0.0.1',
    'https://[fe80::1%25eth0]',
    'https://[fe80::1%eth0]',
    'https://[::1',
    'https://256.256.256.256',
    'https://1.2.3.4.5',
    'https://api.example.com:99999',
    'https://',
    'https://api example.com',
    '//api.example.com',
    'api.example.com',
    '',
  ],
  'other schemes': [
    'http://api.example.com',
    'HTTP://api.example.com',
    'http://8.8.8.8',
    'http://localhost',
    'ftp://api.example.com',
    'file:///etc/passwd',
    'gopher://127.0.0.1:6379/_INFO',
    'data:application/json,{}',
    'javascript:alert(1)',
    'ws://api.example.com',
    'wss://api.example.com',
    'unix:/var/run/docker.sock',
    'dict://127.0.0.1:11211/stat',
    'ldap://127.0.0.1',
    'blob:https://api.example.com/1',
  ],
};

const TAKEN = [
  'https://api.openai.com/v1',
  'https://API.OpenAI.com',
  'https://api.openai.com.',
  'https://api.example.com:8443/llm/v1/',
  'https://bücher.example',
  'https://8.8.8.8',
  'https://172.15.255.255',
  'https://172.32.0.1',
  'https://100.63.255.255',
  'https://169.253.255.255',
  'https://[2606:4700::1111]',
  'https://[2001:4860:4860::8888]',
  'https://[::ffff:8.8.8.8]',
];

/** What a name may resolve to: nothing in a URL shows it. */
const PRIVATE = [
  '127.0.0.1',
  '10.1.2.3',
  '172.20.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.1.1',
  '168.63.129.16',
  '0.0.0.0',
  '::1',
  '::',
  'fe80::1%eth0',
  'fd00:ec2::254',
  '::ffff:127.0.0.1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::1',
  'not an address',
  '',
];

const addressOf = (address: string): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 });

/** Answers each question with the next of `answers`; then with nothing. */
function resolverOf(...answers: readonly string[][]): Resolve & { asked: string[] } {
  const asked: string[] = [];
  const resolve: Resolve = (hostname, _options, callback) => {
    callback(null, (answers[asked.length] ?? []).map(addressOf));
    asked.push(hostname);
  };
  return Object.assign(resolve, { asked });
}

/** What a connection to `host` would get; the error where it gets none. */
function lookedUp(host: string, resolve: Resolve, privateHosts: readonly string[] = [], all = true): unknown {
  let result: unknown;
  publicLookup(privateHosts, 'target.baseUrl', resolve)(host, { all }, (error, addresses, family) => {
    result = error ?? (all ? addresses : { address: addresses, family });
  });
  return result;
}

const REFUSAL = { code: 'ERR_DECLARATION', field: 'target.baseUrl' };
const parse = (text: string, ...hosts: string[]): URL => parseBaseUrl(text, hosts, 'target.baseUrl');

describe('a base address that an operator declares', () => {
  for (const [kind, addresses] of Object.entries(REFUSED)) {
    it.each(addresses)(`is refused where it is ${kind}: %j`, (text) => {
      let refusal: unknown;
      try {
        parse(text);
      } catch (error) {
        refusal = error;
      }
      expect(refusal).toMatchObject({ ...REFUSAL, remedy: expect.any(String) });
    });
  }

  it.each(TAKEN)('is taken where it is public: %s', (text) => {
    expect(parse(text).protocol).toBe('https:');
  });

  it('never shows the login that somebody has written into it', () => {
    expect(() => parse('https://user:s3cret@api.example.com')).toThrow(/^(?!.*s3cret)/);
  });

  describe('with a private upstream of the deployment’s own', () => {
    it.each([
      ['https://10.0.0.1', '10.0.0.1'],
      ['https://167772161', '10.0.0.1'],
      ['https://[fd00::1]:8443', 'fd00::1'],
      ['https://[fd00::1]', '[fd00::1]'],
      ['https://qdrant.internal', 'Qdrant.Internal'],
      ['http://127.0.0.1:6333', '127.0.0.1'],
      ['http://[::1]:6333', '::1'],
      ['http://localhost:6333', 'localhost'],
    ])('%s is taken for %s', (text, host) => {
      expect(parse(text, host).host).not.toBe('');
    });

    it.each([
      ['another address of the same network', 'https://10.0.0.2', '10.0.0.1'],
      ['a name below', 'https://10.0.0.1', 'example.com'],
      ['an address that is mapped', 'https://[::ffff:10.0.0.1]', '10.0.0.1'],
      ['plain http off the machine', 'http://10.0.0.1', '10.0.0.1'],
      ['plain http to a name', 'http://qdrant.internal', 'qdrant.internal'],
      ['plain http to a name like a loopback', 'http://localhost.example.com', 'localhost.example.com'],
      ['a login', 'https://user@10.0.0.1', '10.0.0.1'],
      ['a network', 'https://10.0.0.1', '10.0.0.0/8'],
      ['everything', 'https://10.0.0.1', '*'],
      ['nothing', 'https://10.0.0.1', ''],
    ])('%s is not: %s for %s', (_what, text, host) => {
      expect(() => parse(text, host)).toThrow(expect.objectContaining(REFUSAL));
    });
  });
});

describe('a name that is connected to', () => {
  it.each(PRIVATE)('is refused where it means %j, alone or among others', (address) => {
    expect(isPublic(address)).toBe(false);
    for (const answer of [[address], ['8.8.8.8', address], [address, '2606:4700::1111']]) {
      expect(lookedUp('api.example.com', resolverOf(answer))).toMatchObject(REFUSAL);
    }
  });

  it('is refused where it means nothing at all', () => {
    expect(lookedUp('api.example.com', resolverOf([]))).toMatchObject(REFUSAL);
  });

  it('fails as the resolver does', () => {
    const failure = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    expect(lookedUp('api.example.com', (_host, _options, callback) => callback(failure, []))).toBe(failure);
  });

  it('is connected to at the addresses that were checked, and asked for once', () => {
    const addresses = ['8.8.8.8', '2606:4700::1111'];
    const both = resolverOf(addresses, ['127.0.0.1']);
    expect(lookedUp('api.example.com', both)).toEqual(addresses.map(addressOf));
    expect(both.asked).toEqual(['api.example.com']);
    expect(lookedUp('api.example.com', resolverOf(addresses), [], false)).toEqual(addressOf('8.8.8.8'));
  });

  it('is refused when it means another address at the next connection (rebinding)', () => {
    const turning = resolverOf(['8.8.8.8'], ['169.254.169.254'], ['8.8.4.4']);
    const answers = [1, 2, 3].map(() => lookedUp('turning.example.com', turning));
    expect(answers).toEqual([
      [addressOf('8.8.8.8')],
      expect.objectContaining(REFUSAL),
      [addressOf('8.8.4.4')],
    ]);
  });

  it('may be private where the deployment names exactly it', () => {
    const own = ['qdrant.internal'];
    const to = (host: string): unknown => lookedUp(host, resolverOf(['10.0.0.7']), own);
    for (const host of ['qdrant.internal', 'QDRANT.internal', 'qdrant.internal.']) {
      expect(to(host)).toEqual([addressOf('10.0.0.7')]);
    }
    for (const host of ['x.qdrant.internal', 'internal', 'qdrant.internal.example.com', 'xqdrant.internal']) {
      expect(to(host)).toMatchObject(REFUSAL);
    }
  });
});

describe('a connection under the guard', () => {
  /** What an exchange with `host` throws, for our own refusal its code. */
  async function failure(url: string, lookup = publicLookup([], 'target.baseUrl')): Promise<unknown> {
    try {
      return await exchange(new URL(url), { method: 'GET', path: '/' }, { timeoutMs: 2000, lookup });
    } catch (error) {
      return error instanceof Error && isRekeyError(error.cause) ? error.cause.code : error;
    }
  }

  it('is not made to a name of this machine, and nothing arrives', async () => {
    await using server = await UpstreamServer.start(() => ({ status: 200 }));
    expect(await failure(server.url.replace('127.0.0.1', 'localhost'))).toBe('ERR_DECLARATION');
    expect(server.asked).toEqual([]);
  });

  it('goes to the address that was checked although the name has turned meanwhile', async () => {
    await using server = await UpstreamServer.start(() => ({ status: 200 }));
    const turning = resolverOf(['127.0.0.1'], ['10.0.0.1']);
    const lookup = publicLookup(['turning.example.com'], 'target.baseUrl', turning);
    const url = server.url.replace('127.0.0.1', 'turning.example.com');
    expect(await failure(url, lookup)).toMatchObject({ status: 200 });
    expect(turning.asked).toHaveLength(1);
  });

  it('is not one that was kept open without the guard', async () => {
    await using server = await UpstreamServer.start(() => ({ status: 200 }));
    const url = server.url.replace('127.0.0.1', 'localhost');
    await exchange(new URL(url), { method: 'GET', path: '/' }, { timeoutMs: 2000 });
    expect(await failure(url)).toBe('ERR_DECLARATION');
    expect(server.asked).toHaveLength(1);
  });
});
