import { lookup, type LookupAddress, type LookupAllOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { RekeyError } from '../domain/errors.ts';

/** Of IPv6 only this part is given out as the public internet (RFC 4291); the rest embeds, translates or is reserved. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');
/** The host of an Azure machine, which answers it and nobody else; it looks like any public address. */
const AZURE_HOST = '168.63.129.16';

/** How a name becomes addresses. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Whether `address` is one of the public internet. Everything else could be somebody's own network, the function's own
 * loopback or the metadata service of a cloud: whoever declares a target must not be able to send requests there.
 */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  // An IPv4 address within an IPv6 one is judged as what it is.
  const judged = ipaddr.process(address);
  if (judged.range() !== 'unicast' || judged.toString() === AZURE_HOST) return false;
  return judged.kind() === 'ipv4' || judged.match(GLOBAL_UNICAST);
}

/**
 * The base address of an upstream: https, a host and nothing that hides another. `privateHosts` are those that the
 * deployment's settings name as its own; on them alone a private address is taken, and http on loopback.
 * @throws RekeyError ERR_DECLARATION with `field`
 */
export function parseBaseUrl(text: string, privateHosts: readonly string[], field: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url === undefined ||
    url.username !== '' ||
    url.password !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw refusal(field, 'must be the address of an API, without a login, a query or a fragment');
  }
  const host = hostOf(url);
  const isOwn = isListed(host, privateHosts);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isOwn && isLoopback(host))) {
    throw refusal(field, 'must begin with https://');
  }
  if (host === '' || (ipaddr.isValid(host) && !isPublic(host) && !isOwn)) throw notPublic(field, host);
  return url;
}

/**
 * Resolves a name for one connection and refuses it where any of its addresses isn't public: what was checked is what is
 * connected to, whatever the name means a moment later (DNS rebinding).
 */
export function publicLookup(
  privateHosts: readonly string[],
  field: string,
  resolve: Resolve = lookup,
): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const isRefused = addresses.length === 0 || addresses.some(({ address }) => !isPublic(address));
      if (isRefused && !isListed(hostname, privateHosts)) return callback(notPublic(field, hostname), []);
      const [first] = addresses;
      if (options.all === true || first === undefined) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };
}

/** The refusal of an address within an error: it comes out of a connection as its cause. */
export function refusedAddress(error: unknown): RekeyError | undefined {
  for (let each = error; each instanceof Error; each = each.cause)
    if (each instanceof RekeyError) return each;
  return undefined;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback');
}

function isListed(host: string, hosts: readonly string[]): boolean {
  return hosts.some((each) => bare(each) === bare(host));
}

function hostOf({ hostname }: URL): string {
  return withoutBrackets(hostname);
}

/** Names are the same with a dot at their end, an IPv6 address with its brackets. */
function bare(host: string): string {
  return withoutBrackets(host.toLowerCase().replace(/\.$/, ''));
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

function refusal(field: string, problem: string): RekeyError {
  return new RekeyError('ERR_DECLARATION', `${field} ${problem}; nothing was sent there`, {
    field,
    remedy: 'write it as the provider documents it, e.g. https://api.example.com',
  });
}

function notPublic(field: string, host: string): RekeyError {
  return new RekeyError(
    'ERR_DECLARATION',
    `${field}: ${host} is not an address of the public internet; nothing was sent there`,
    { field, remedy: 'where it is an upstream of your own, name its host in the setting privateUpstreams' },
  );
}
