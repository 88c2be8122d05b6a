import { expect, test } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { locate } from '../../../shared/engine/locate.ts';
import { after } from '../../../shared/engine/patience.ts';

type Answer = () => Promise<unknown>;

const ID = 'c-1';
const from = (source: string) => ({ id: source, status: 'active' });
const never = (): Promise<never> => new Promise(() => undefined);
const down = (): Promise<never> => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'it did not answer'));
const late = async <T>(answer: T): Promise<T> => after(700).then(() => answer);

/** Where it is found, or the code with which it isn't. */
async function found(ledger: Answer, copy: Answer): Promise<string> {
  // What it asks of either; a head of two fields is enough, since nothing else is read.
  const deps = { ledger: { credential: ledger }, snapshots: { read: copy } };
  return locate(deps as unknown as Parameters<typeof locate>[0], ID).then(
    ({ credential, source }) => `${source}: ${credential.id}`,
    (error: unknown) => (error instanceof RekeyError ? error.code : String(error)),
  );
}

test.each<[string, Answer, Answer, string]>([
  ['the ledger answers', async () => Promise.resolve(from('ledger')), never, 'ledger: ledger'],
  ['the ledger is down', down, async () => Promise.resolve(from('copy')), 'snapshot: copy'],
  [
    'the ledger is slow and the copy is there',
    never,
    async () => Promise.resolve(from('copy')),
    'snapshot: copy',
  ],
  ['the ledger is late and S3 hangs', async () => late(from('ledger')), never, 'ledger: ledger'],
  ['the ledger is late and S3 is down', async () => late(from('ledger')), down, 'ledger: ledger'],
  [
    'the ledger is late and the copy was let go of',
    async () => late(from('ledger')),
    async () => Promise.resolve({ id: 'copy', status: 'unregistered' }),
    'ledger: ledger',
  ],
  ['both are down', down, down, 'ERR_UNAVAILABLE'],
  ['the ledger has none', async () => Promise.resolve(undefined), never, 'ERR_NOT_FOUND'],
  ['the ledger is late and has none', async () => late(undefined), down, 'ERR_NOT_FOUND'],
])('where %s', async (_what, ledger, copy, expected) => {
  expect(await found(ledger, copy)).toBe(expected);
});
