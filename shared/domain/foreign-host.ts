import { BlockList, isIP } from 'node:net';
import { RekeyError } from './errors.ts';

/** Addresses that lead back into Rekey's own machine, or to the metadata of the cloud. */
const OWN_ADDRESSES = new BlockList();
OWN_ADDRESSES.addSubnet('0.0.0.0', 8, 'ipv4');
OWN_ADDRESSES.addSubnet('127.0.0.0', 8, 'ipv4');
OWN_ADDRESSES.addSubnet('169.254.0.0', 16, 'ipv4');
// With `::` and `::1` every address that only wraps one of version 4.
OWN_ADDRESSES.addSubnet('::', 96, 'ipv6');
OWN_ADDRESSES.addSubnet('::ffff:0:0:0', 96, 'ipv6');
OWN_ADDRESSES.addSubnet('64:ff9b::', 96, 'ipv6');
OWN_ADDRESSES.addSubnet('fe80::', 10, 'ipv6');
OWN_ADDRESSES.addAddress('fd00:ec2::254', 'ipv6');

/**
 * Refuses a target that no database is at, but something of Rekey's own surroundings: the administrative login would be
 * sent there. Names pass; what they resolve to is for the network's rules.
 * @throws RekeyError ERR_DECLARATION for target.host
 */
export function assertForeignHost(target: unknown): void {
  const host = (target as { host?: unknown } | undefined)?.host;
  if (typeof host !== 'string') return;
  const bare = host.replace(/\.$/, '').toLowerCase();
  const version = isIP(bare);
  const refused =
    version === 0
      ? // A last part in digits makes it an address, in one of the forms that only resolvers know.
        /(^|\.)(\d+|0x[0-9a-f]*)$/.test(bare) || /[:%]/.test(bare) || /(^|\.)localhost$/.test(bare)
      : bare.includes('%') || OWN_ADDRESSES.check(bare, version === 4 ? 'ipv4' : 'ipv6');
  if (!refused) return;
  throw new RekeyError('ERR_DECLARATION', `target.host: ${host} can't be the address of a database`, {
    field: 'target.host',
    remedy: 'declare the name of the database, or its address in the usual form',
  });
}
