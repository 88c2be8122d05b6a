#!/usr/bin/env node
// Starts the command line on a Node that runs TypeScript: this one if it can, else the project's own. Plain
// JavaScript for any Node >= 20, without a dependency, because it is what says that the set-up is missing.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(realpathSync(fileURLToPath(import.meta.url)));
const root = dirname(here);
const main = join(here, 'main.ts');
const modules = join(root, 'node_modules');
const node = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

if (!existsSync(join(modules, 'commander')) || !existsSync(join(modules, 'yaml'))) {
  missing('its modules are not installed');
} else if (Number(process.versions.node.split('.')[0]) >= 24 && process.features.typescript) {
  await import('./main.ts');
} else if (existsSync(node)) {
  start();
} else {
  missing(`it needs Node 24, and this is ${process.versions.node}`);
}

function missing(why) {
  process.stderr.write(`rekey is not set up: ${why}. Run \`npm run setup\` in ${root}\n`);
  process.exitCode = 1;
}

function start() {
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => missing(`Node 24 can't be started (${error.code})`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
