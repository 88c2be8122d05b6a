import { isIP } from 'node:net';

/**
 * The network that an address is in, /24 or /48: a fleet behind several exits is no news with each of them, and a trail that
 * stays for good has no address of a person. A service of AWS calls in its own name.
 */
export function networkOf(address: string): string | undefined {
  switch (isIP(address)) {
    case 4:
      return `${address.split('.').slice(0, 3).join('.')}.0/24`;
    case 6:
      return `${groupsOf(address).slice(0, 3).join(':')}::/48`;
    default:
      return /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(address) && address.length <= 64 ? address : undefined;
  }
}

/** The eight groups of an address of IPv6, without zeros in front. */
function groupsOf(address: string): string[] {
  const [plain = ''] = address.toLowerCase().split('%');
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = tail === undefined ? 0 : 8 - before.length - after.length - (plain.includes('.') ? 1 : 0);
  return [...before, ...Array<string>(Math.max(0, gap)).fill('0'), ...after].map((group) =>
    group.replace(/^0+(?=.)/, ''),
  );
}
