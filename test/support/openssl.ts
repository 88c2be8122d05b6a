import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What openssl said. */
export interface Said {
  readonly ok: boolean;
  readonly output: string;
}

/** Runs openssl, which has read nothing of Rekey's code: `files` are there by their names, in a folder of their own. */
export function openssl(
  args: readonly string[],
  files: Readonly<Record<string, string | Uint8Array>> = {},
  look?: (folder: string) => void,
): Said {
  const folder = mkdtempSync(join(tmpdir(), 'rekey-openssl-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const { status, stdout, stderr, error } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
    if (error !== undefined) throw new Error('openssl has to be on the path for this test', { cause: error });
    if (status === 0) look?.(folder);
    return { ok: status === 0, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A request for a certificate by openssl, with its private key; PEM both. */
export function opensslRequest(
  key: readonly string[],
  more: readonly string[] = [],
): { csr: string; key: string } {
  const made = openssl(['genpkey', ...key]);
  if (!made.ok) throw new Error(made.output);
  const pem = /-----BEGIN PRIVATE KEY-----[^]+-----END PRIVATE KEY-----\n/.exec(made.output)?.[0] ?? '';
  const asked = openssl(['req', '-new', '-key', 'key.pem', '-subj', '/CN=anybody', ...more], {
    'key.pem': pem,
  });
  if (!asked.ok) throw new Error(asked.output);
  return { csr: asked.output, key: pem };
}

/** Arguments of `openssl genpkey` for the kinds of keys that requests come with. */
export const KEY_KINDS = {
  'P-256': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'P-384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  Ed25519: ['-algorithm', 'ED25519'],
  'RSA-2048': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
} as const;

/** What openssl writes into the file `out`. */
export function opensslBytes(
  args: readonly string[],
  files: Readonly<Record<string, string | Uint8Array>>,
): Uint8Array {
  let written = new Uint8Array();
  const said = openssl(
    args,
    files,
    (folder) => (written = new Uint8Array(readFileSync(join(folder, 'out')))),
  );
  if (!said.ok) throw new Error(said.output);
  return written;
}
