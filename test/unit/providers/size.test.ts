import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CAPABILITIES } from '../../../shared/domain/capabilities.ts';

const folder = join(import.meta.dirname, '..', '..', '..', 'shared', 'providers');

/** Lines that an upstream of keys behind an HTTP API may need beside what all of them have in common. */
const MOST = 150;

/** What reads an upstream's report of uses, where it has one: no part of how its keys live and die. */
const USAGE = 'usage.ts';
const MOST_OF_USAGE = 70;

/** Providers that need more, and why. */
const MORE: Readonly<Record<string, string>> = {
  postgresql: 'no HTTP: a driver, and what its users own and may do',
  'aws-iam': 'signed requests, and tags of the user in place of names, for two kinds of keys',
  x509: 'no HTTP: authorities whose keys are in KMS, their certificates, and proofs of them',
  'private-ca':
    'signed requests: authorities that a person has made, what stands in their way, and proofs of them',
  leaf: 'no HTTP: keys that Rekey makes itself, and what verifiers are told of their certificates',
  jwks: 'no HTTP: keys in four algorithms, exported or in KMS, and proofs of them',
};

async function linesOf(provider: string, isUsage = false): Promise<number> {
  const files = await readdir(join(folder, provider), { recursive: true });
  const texts = await Promise.all(
    files
      .filter((file) => file.endsWith('.ts') && (file === USAGE) === isUsage)
      .map(async (file) => readFile(join(folder, provider, file), 'utf8')),
  );
  return texts.reduce((lines, text) => lines + text.trimEnd().split('\n').length, 0);
}

describe('a provider', () => {
  it.each(Object.keys(CAPABILITIES).map((key) => key.split('/')[1] ?? ''))(
    'of %s is small, or it is said why it is not',
    async (provider) => {
      const lines = await linesOf(provider);
      expect(lines).toBeGreaterThan(0);
      if (MORE[provider] === undefined) expect(lines).toBeLessThanOrEqual(MOST);
      else expect(lines, 'the exception is needed no more').toBeGreaterThan(MOST);
      expect(await linesOf(provider, true)).toBeLessThanOrEqual(MOST_OF_USAGE);
    },
  );
});
