import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { promisify } from 'node:util';
import { deployHook } from './hook.ts';

/**
 * The hook of a Qdrant server of Docker Compose, whose service has `env_file: qdrant-keys.env`. Behind whatever ends TLS. How to
 * start it: docs/deploy-hook.md.
 */
const run = promisify(execFile);
const { HOOK_TOKEN: token = '', PORT: port = '8787' } = process.env;
if (token.length < 32) throw new Error('HOOK_TOKEN has to have 32 characters or more');

const serve = deployHook({
  token,
  file: 'qdrant-keys.json',
  places: 2,
  needsValue: true,
  async deploy([first, second]) {
    // A server without a key would be open: then it gets one that nobody has.
    const lines = [
      `QDRANT__SERVICE__API_KEY=${first?.value ?? randomBytes(32).toString('base64url')}`,
      `QDRANT__SERVICE__ALT_API_KEY=${second?.value ?? ''}`,
    ];
    writeFileSync('qdrant-keys.env', `${lines.join('\n')}\n`, { mode: 0o600 });
    await run('docker', ['compose', 'up', '--detach', '--force-recreate', '--wait', 'qdrant']);
  },
});
createServer((request, response) => void serve(request, response)).listen(Number(port), '127.0.0.1');
