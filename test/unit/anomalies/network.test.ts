import { describe, expect, it } from 'vitest';
import { networkOf } from '../../../shared/domain/anomalies/network.ts';

describe('a network', () => {
  it.each([
    ['203.0.113.7', '203.0.113.0/24'],
    ['2001:db8:1:2::7', '2001:db8:1::/48'],
    ['2001:0DB8:0001::', '2001:db8:1::/48'],
    ['2001:db8::7', '2001:db8:0::/48'],
    ['::1', '0:0:0::/48'],
    ['::ffff:203.0.113.7', '0:0:0::/48'],
    ['fe80::1%eth0', 'fe80:0:0::/48'],
    ['secretsmanager.amazonaws.com', 'secretsmanager.amazonaws.com'],
    ['AWS Internal', undefined],
    ['', undefined],
    [`${'a'.repeat(64)}.com`, undefined],
  ])('of %j is %j', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
