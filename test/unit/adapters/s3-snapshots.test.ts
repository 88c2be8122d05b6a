import { describe, expect, it } from 'vitest';
import { AwsServiceError, type AwsCalls } from '../../../shared/adapters/aws-client.ts';
import { S3Snapshots } from '../../../shared/adapters/s3-snapshots.ts';
import { MemoryS3 } from '../../support/scale-world.ts';
import type { SpooledIntent } from '../../../shared/ports/snapshots.ts';

const INTENT: SpooledIntent = {
  credentialId: 'c1',
  incidentId: 'INC-1',
  emergencyId: 'e1',
  reason: 'leaked',
  actor: 'responder',
  time: '2026-11-22T12:00:00.000Z',
};

/** A bucket that keeps what is put into it and honours `If-None-Match: *`. */
function bucket() {
  const objects = new Map<string, string>();
  const aws = {
    async request(_service: string, put: { path: string; headers: Record<string, string>; body: string }) {
      if (put.headers['if-none-match'] === '*' && objects.has(put.path))
        throw new AwsServiceError('PreconditionFailed', 'it is there', 412);
      objects.set(put.path, put.body);
    },
  };
  const snapshots = new S3Snapshots({
    // The class has private fields, which a stand-in can't have; the adapter uses `request` alone.
    aws: aws as unknown as AwsCalls,
    bucket: 'snapshots',
    tenant: 'acme',
  });
  return { snapshots, kept: () => [...objects.values()].map((text) => JSON.parse(text) as SpooledIntent) };
}

describe('a spooled intent', () => {
  it.each([
    ['fought again', { emergencyId: 'e2' }],
    ['of a machine that does not name its execution, for another reason', { reason: 'seen in a log' }],
    ['of another credential', { credentialId: 'c2' }],
  ])('stays beside that of the same incident %s', async (_which, other) => {
    const { snapshots, kept } = bucket();
    await snapshots.spool(INTENT);
    await snapshots.spool({ ...INTENT, ...other });
    expect(kept()).toEqual([INTENT, { ...INTENT, ...other }]);
  });

  it('is kept once, with its first time, however often its emergency is tried', async () => {
    const { snapshots, kept } = bucket();
    await snapshots.spool(INTENT);
    await snapshots.spool({ ...INTENT, time: '2026-11-22T12:00:02.000Z' });
    expect(kept()).toEqual([INTENT]);
  });
});

describe('the spool', () => {
  const revocation = {
    credentialId: 'c1',
    revokedAt: '2026-11-22T12:00:01.000Z',
    source: 'snapshot',
    intent: 'spool',
    generation: 2,
    handles: [],
  } as const;

  it('gives what was revoked apart from the intent of the same emergency, until each is settled', async () => {
    const { aws } = new MemoryS3(() => 1);
    const snapshots = new S3Snapshots({ aws, bucket: 'snapshots', tenant: 'acme' });
    await snapshots.spool(INTENT);
    await snapshots.spool({ ...INTENT, revocation });
    const { revoked, intended } = await snapshots.waiting();
    expect(await Promise.all([...revoked, ...intended].map((key) => snapshots.spooled(key)))).toEqual([
      { ...INTENT, revocation },
      INTENT,
    ]);
    for (const key of [...revoked, ...intended, ...intended]) await snapshots.settle(key);
    expect(await snapshots.waiting()).toEqual({ revoked: [], intended: [] });
  });

  it('is read to its end, a thousand names at a time', async () => {
    const { aws } = new MemoryS3(() => 1);
    const snapshots = new S3Snapshots({ aws, bucket: 'snapshots', tenant: 'acme' });
    for (let n = 0; n < 1500; n++) await snapshots.spool({ ...INTENT, credentialId: `c${n}` });
    expect((await snapshots.waiting()).intended).toHaveLength(1500);
  });
});

describe('a snapshot', () => {
  const answering = (error: AwsServiceError): S3Snapshots =>
    new S3Snapshots({
      aws: {
        async request() {
          throw error;
        },
        // As above.
      } as unknown as AwsCalls,
      bucket: 'snapshots',
      tenant: 'acme',
    });

  it('is absent only where S3 says so: to a role that may not list, it denies what is absent', async () => {
    const absent = answering(new AwsServiceError('NoSuchKey', 'no such key', 404));
    expect(await absent.read('c1')).toBeUndefined();
    const denied = answering(new AwsServiceError('AccessDenied', 'Access Denied', 403));
    await expect(denied.read('c1')).rejects.toMatchObject({ name: 'AccessDenied', status: 403 });
  });
});
