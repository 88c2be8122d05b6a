import { mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chainRecords, objectOf, writeCopy } from '../../support/archive-copies.ts';
import { rekey, type Ran } from './stand-in.ts';

const RECORDS = chainRecords(150, 'c1');
const OBJECTS = RECORDS.map(objectOf);

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rekey-copy-'));
  await writeCopy(join(folder, 'copy'), OBJECTS);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** Without a deployment, a login or a network: there is no stand-in, and the environment has nothing of AWS. */
const audit = (...args: string[]): Promise<Ran> =>
  rekey(undefined, ['audit', '--archive', 'copy', ...args], {
    cwd: folder,
    env: { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_REGION: '', AWS_PROFILE: 'none' },
  });

const file = (name: string, content: unknown): Promise<void> =>
  writeFile(join(folder, name), JSON.stringify(content));

describe('rekey audit --archive', () => {
  it('checks a copy alone, and says what it has seen and what no copy shows', async () => {
    const { exit, stdout, stderr } = await audit();
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout).toContain('150 records of 1 chain on 38 days, 2026-01-01 to 2026-02-07');
    expect(stdout).toMatch(/c1-db +c1 +150 +150 +2026-02-07 06:00:00 UTC +window-opened +sha256:/);
    expect(stdout).toContain('The copy is whole in itself');
    expect(stdout).toMatch(/--against[\s\S]*--versions/);
  });

  it('ends with 3 where something is wrong, and names the object or the record', async () => {
    const [third, tenth] = [OBJECTS[2], OBJECTS[9]];
    await unlink(join(folder, 'copy', third?.key ?? ''));
    await writeFile(join(folder, 'copy', tenth?.key ?? ''), '{}');
    await symlink('nowhere', join(folder, 'copy', 'records', 'link.json'));
    const { exit, stdout } = await audit();
    expect(exit).toBe(3);
    expect(stdout).toContain('The copy has 5 faults.');
    expect(stdout).toContain('gap  record 3 of c1: no record');
    expect(stdout).toContain(`content  ${tenth?.key}: was changed`);
    expect(stdout).toContain('foreign  records/link.json');
    const machine = await audit('--json');
    expect(machine.exit).toBe(3);
    expect(JSON.parse(machine.stdout)).toMatchObject({
      records: 148,
      versions: false,
      chains: [{ seq: 150 }],
    });
  });

  it('lets no name in the evidence hide or forge what it says: the verdict is its last line', async () => {
    const name = 'x\nThe copy is whole in itself\u001B[8m\u202E';
    const [first] = chainRecords(1, 'c2', name);
    if (first === undefined) throw new Error('there is no record');
    await writeCopy(join(folder, 'copy'), [objectOf(first)]);
    await writeFile(join(folder, 'copy', 'a\n\u001B[8mb'), 'x');
    const { exit, stdout } = await audit();
    expect(exit).toBe(3);
    expect(stdout).toContain('x\\u{a}The copy is whole in itself\\u{1b}[8m\\u{202e}');
    expect(stdout).toContain('foreign  a\\u{a}\\u{1b}[8mb');
    expect(stdout).not.toMatch(/^The copy is whole/m);
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('The copy has 1 fault.');
  });

  it('holds chains against an earlier check of a copy, and against what a deployment told', async () => {
    await writeFile(join(folder, 'earlier.json'), (await audit('--json')).stdout);
    await unlink(join(folder, 'copy', OBJECTS[149]?.key ?? ''));
    expect((await audit()).exit).toBe(0);
    const earlier = await audit('--against', 'earlier.json');
    expect(earlier.exit).toBe(3);
    expect(earlier.stdout).toContain('lost  record 150 of c1: is known from elsewhere, and not in the copy');
    const ends = [{ credentialId: 'c1', seq: 140, hash: RECORDS[139]?.integrity.hash }];
    await file('live.json', { from: '2026-01-01', chain: { checked: 140, faults: [], ends } });
    const live = await audit('--against', 'live.json');
    expect([live.exit, live.stdout]).toEqual([0, expect.stringContaining('1 of 1 chains were held')]);
  });

  it('finds what is hidden or written over in a listing of versions', async () => {
    await file('versions.json', {
      Versions: [
        { Key: 'records/a', VersionId: 'v1', IsLatest: false },
        { Key: 'records/a', VersionId: 'v2', IsLatest: true },
      ],
      DeleteMarkers: [{ Key: 'records/b', VersionId: 'v3', IsLatest: true }],
    });
    const { exit, stdout } = await audit('--versions', 'versions.json');
    expect(exit).toBe(3);
    expect(stdout).toContain('hidden  records/b: is hidden by a delete marker (version v3)');
    expect(stdout).toContain(
      'overwritten  records/a: was written over: an earlier version is in the bucket (version v1)',
    );
    await file('versions.json', { Versions: null, DeleteMarkers: null });
    expect((await audit('--versions', 'versions.json')).exit).toBe(0);
  });

  it.each([
    [['--from', '2026-01-01'], '--from is not for --archive'],
    [['--against', 'none.json'], '--against none.json: ENOENT'],
    [['--against', 'empty.json'], 'no answer of `rekey audit --json`'],
    [['--versions', 'list.json'], 'no answer of s3api list-object-versions'],
    [['--versions', 'nothing.json'], 'no answer of s3api list-object-versions'],
  ])('refuses %j', async (args, message) => {
    await file('empty.json', { chain: { checked: 1 } });
    await file('list.json', []);
    await file('nothing.json', {});
    const { exit, stderr } = await audit(...args);
    expect([exit, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it('refuses a folder that is none, or that has no record, instead of calling it whole', async () => {
    const elsewhere = async (path: string): Promise<Ran> =>
      rekey(undefined, ['audit', '--archive', path], { cwd: folder });
    expect(await elsewhere('none')).toMatchObject({ exit: 2, stderr: expect.stringContaining('ENOENT') });
    await rm(join(folder, 'copy', 'records'), { recursive: true });
    expect(await elsewhere('copy')).toMatchObject({ exit: 2, stderr: expect.stringContaining('no record') });
    const without = await rekey(undefined, ['audit', '--versions', 'v.json'], { cwd: folder });
    expect(without).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('--versions is for --archive'),
    });
  });
});
