import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bundleEntry, bundleHandler } from '../../infra/bundle.ts';
import { ratio, type Figures } from './figures.ts';
import { interleaved, storeBundle, withFolder, type Task } from './processes.ts';

const ROUNDS = 31;
const LIMIT_MS = 180_000;
const EVENT = {
  credentialId: '8b3f1c9e-0000-4000-8000-000000000001',
  incidentId: 'INC-1',
  reason: 'bench',
  actor: 'arn:aws:iam::111122223333:user/bench',
};

/**
 * Load and first call in a fresh process: `revoke-database` as deployed, until it has its answer from the ledger ("no
 * such credential", which ends it), against the plain SDK in one file as functions commonly are. What bundling in
 * several files alone does for the SDK is shown beside it, and what a bare signed call takes.
 */
export function revocationPath(tell: (line: string) => void): Promise<Figures> {
  return withFolder(async (folder) => {
    const ours = await storeBundle(folder, 'ours', bundleHandler('revoke-database'));
    const sdk = await storeBundle(
      folder,
      'sdk',
      bundleEntry('test/bench/sdk-entry.ts', { splitting: false }),
    );
    const splitSdk = await storeBundle(folder, 'split-sdk', bundleEntry('test/bench/sdk-entry.ts'));
    const bare = await storeBundle(folder, 'bare', bundleEntry('test/bench/signed-entry.ts'));
    const ledger = await emptyLedger();
    const call = { event: EVENT, outcome: 'ERR_NOT_FOUND' };
    const answered = { event: EVENT, outcome: 'answered' };
    const tasks: Task[] = [
      { bundle: sdk, whole: false, call: answered },
      { bundle: ours, whole: false, call },
      { bundle: splitSdk, whole: false, call: answered },
      { bundle: bare, whole: false, call: answered },
    ];
    tell(`${ROUNDS} rounds of ${tasks.length} fresh processes`);
    try {
      const times = await interleaved(tasks, ROUNDS, { AWS_ENDPOINT_URL: ledger.url });
      const calls = await ledger.stop();
      if (calls !== ROUNDS * tasks.length) throw new Error(`${calls} calls instead of one from each process`);
      const [plain = Number.NaN, own = Number.NaN, split = Number.NaN, signed = Number.NaN] = times;
      return {
        'revocation path': ratio(plain / own, '× faster than', 'the plain SDK', {
          goal: { is: 'at least', bound: 3 },
        }),
        'revocation path, SDK in several files': ratio(
          split / own,
          '× faster than',
          'the plain SDK, bundled as ours',
        ),
        'revocation path, bare call': ratio(own / signed, '× of', 'a bare signed call'),
      };
    } finally {
      await ledger.stop();
    }
  });
}

/** A ledger without items on the loopback interface. */
async function emptyLedger(): Promise<{ url: string; stop: () => Promise<number> }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'empty-ledger.cjs')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: LIMIT_MS,
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const port = await lines.next();
  return {
    url: `http://127.0.0.1:${port.value ?? ''}`,
    /** How many calls it has answered. */
    stop: async () => {
      child.stdin.end();
      const calls = await lines.next();
      return Number(calls.value);
    },
  };
}
