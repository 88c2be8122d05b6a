#!/usr/bin/env node
// `node scripts/run.mjs [entry.ts args…]`: sets the checkout up where needed, then runs the entry on the project's
// own Node, with its exit code. Without an entry it only sets up. `--no-python` before the entry: it needs node modules only.
import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { nodePath, root, SetupError, setUp } from './setup.mjs';

try {
  const given = process.argv.slice(2);
  const python = given[0] !== '--no-python';
  await setUp({ python });
  const args = python ? given : given.slice(1);
  if (args.length > 0) start(args);
  else if (python)
    console.log(
      'Rekey is set up and ready. Next: `npm run demo` shows it at work, `npm run local` keeps it up.',
    );
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`rekey: ${error.message}\n`);
  process.exitCode = 1;
}

function start(args) {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
  const child = spawn(nodePath(), args, { stdio: 'inherit', env: { ...process.env, PATH: path } });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well: passing it on would make one keystroke two.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(
      `rekey: can't start ${nodePath()} (${error.code}): delete node_modules and run it again.\n`,
    );
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
