import { describe, expect, it } from 'vitest';
import { callOf, eventTimeOf } from '../../../shared/domain/cloudtrail-calls.ts';
import { ACCOUNT, assumedRole, keyCall, readRecord } from '../../support/cloudtrail.ts';

const scope = { account: ACCOUNT };

describe('a record of CloudTrail', () => {
  it('tells which key did what, from where, and that AWS took the key', () => {
    expect(callOf(keyCall('AKIAIOSFODNN7EXAMPLE', 'deployer'), scope)).toEqual({
      source: 'cloudtrail',
      keyId: 'AKIAIOSFODNN7EXAMPLE',
      user: 'deployer',
      who: `arn:aws:iam::${ACCOUNT}:user/deployer`,
      address: '203.0.113.7',
      scope: 's3:ListBuckets',
      outcome: 'worked',
      from: '2026-11-22T10:12:54.000Z',
      to: '2026-11-22T10:12:54.000Z',
    });
  });

  it.each([
    ['AccessDenied', 'worked', 's3:ListBuckets (denied)'],
    ['Client.UnauthorizedOperation', 'worked', 's3:ListBuckets (denied)'],
    ['NoSuchBucket', 'worked', 's3:ListBuckets'],
    ['InvalidClientTokenId', 'refused', 's3:ListBuckets'],
    ['Client.AuthFailure', 'refused', 's3:ListBuckets'],
  ])('with the error %s says that the key was %s', (errorCode, outcome, touched) => {
    const call = callOf(keyCall('AKIAIOSFODNN7EXAMPLE', 'deployer', { errorCode }), scope);
    expect(call).toMatchObject({ outcome, scope: touched });
  });

  it('that is about anything else is counted and no failure', () => {
    const key = 'AKIAIOSFODNN7EXAMPLE';
    const other = keyCall(key, 'deployer');
    expect(callOf(readRecord('agents/a', assumedRole('crawler', 's')), scope)).toBe('no-key');
    expect(callOf(keyCall('ASIAIOSFODNN7EXAMPLE', 'deployer'), scope)).toBe('no-key');
    expect(callOf(other, { account: '999999999999' })).toBe('elsewhere');
    for (const input of [undefined, 7, {}, { ...other, eventTime: 'now' }, { ...other, eventSource: 'x' }])
      expect(callOf(input, scope)).toBe('malformed');
    expect(callOf(keyCall(key, 'deployer\n'), scope)).toBe('malformed');
  });

  it('has an address only where it names one', () => {
    const from = (sourceIPAddress: string) =>
      callOf(keyCall('AKIAIOSFODNN7EXAMPLE', 'deployer', { sourceIPAddress }), scope);
    expect(from('cloudformation.amazonaws.com')).toMatchObject({ address: 'cloudformation.amazonaws.com' });
    expect(from('<script>')).not.toHaveProperty('address');
  });

  it('tells its time whatever it is about', () => {
    expect(eventTimeOf(readRecord('agents/a', {}))).toBe(Date.parse('2026-11-22T10:12:54Z'));
    expect(eventTimeOf({ eventTime: 'yesterday' })).toBeUndefined();
  });
});
