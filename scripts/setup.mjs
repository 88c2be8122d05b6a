// Sets up everything that a fresh clone needs, on any Node >= 20 and without a dependency: this file runs before
// there is a node_modules. It does nothing, and says nothing, when all is in place.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.mjs';

/** The checkout's top folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const requirementFiles = [
  'local/ministack/requirements.txt',
  'scripts/requirements-lint.txt',
  'scripts/requirements-aws.txt',
  'examples/python/requirements.txt',
];
const stampName = '.rekey-setup';
const installLimitMs = 15 * 60_000;

/** An error whose message is one line that names what is wrong and the remedy. */
export class SetupError extends Error {}

/** Brings node modules and, where `python` is needed, its environment into the state that the lock files describe. */
export async function setUp({ python }) {
  const pythonReady = () => !python || venvReady();
  if (nodeModulesReady() && pythonReady()) return;
  const cache = join(root, '.cache');
  mkdirSync(cache, { recursive: true });
  await withLock(join(cache, 'setup.lock'), SetupError, async () => {
    // Asked again under the lock: a second run that waited here finds the work done.
    if (!nodeModulesReady()) await installNodeModules();
    if (!pythonReady()) await installVenv();
  });
}

/** The Node that runs the project, whatever Node started this script. */
export function nodePath() {
  return join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

/** The Python interpreter of the project's own virtual environment. */
export function venvPython() {
  const [folder, file] = process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python'];
  return join(venvFolder(), folder, file);
}

function venvFolder() {
  return join(root, '.cache', `venv-${hashOf(requirementFiles).slice(0, 16)}`);
}

function nodeModulesReady() {
  const stamp = join(root, 'node_modules', stampName);
  const wanted = hashOf(['package-lock.json', 'package.json']);
  if (!existsSync(nodePath())) return false;
  if (readIfThere(stamp) === wanted) return true;
  if (!installedMatchesLock()) return false;
  // Somebody ran npm themselves: what lies there is what the lock file asks for, so no reinstall.
  writeFileSync(stamp, wanted);
  return true;
}

/** Compares npm's own record of what it installed with the lock file; packages for other platforms may be absent. */
function installedMatchesLock() {
  const record = readIfThere(join(root, 'node_modules', '.package-lock.json'));
  if (record === undefined) return false;
  try {
    const installed = JSON.parse(record).packages;
    const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const wanted = Object.entries(locked).filter(([path]) => path !== '');
    return (
      wanted.every(([path, entry]) =>
        installed[path] === undefined
          ? entry.optional === true || entry.devOptional === true || entry.peer === true
          : installed[path].version === entry.version,
      ) && Object.keys(installed).every((path) => locked[path] !== undefined)
    );
  } catch {
    return false;
  }
}

async function installNodeModules() {
  // npm starts scripts with the path of its own program in npm_execpath: the npm that the user called is used again.
  const own = process.env.npm_execpath;
  const [program, first] = own?.endsWith('.js') ? [process.execPath, [own]] : ['npm', []];
  await run('Installing node modules', program, [...first, 'ci', '--no-audit', '--no-fund'], {
    remedy: 'see the lines above; run `npm ci` yourself for the whole log',
  });
  if (!existsSync(nodePath())) {
    throw new SetupError(
      'Node 24 is missing after `npm ci`: install scripts seem to be off; run `npm ci --ignore-scripts=false`.',
    );
  }
  writeFileSync(join(root, 'node_modules', stampName), hashOf(['package-lock.json', 'package.json']));
}

function venvReady() {
  return existsSync(join(venvFolder(), stampName));
}

async function installVenv() {
  const python = findPython();
  const folder = venvFolder();
  rmSync(folder, { recursive: true, force: true });
  const remedy = 'on Debian and Ubuntu: `apt install python3-venv`';
  await run('Making a Python environment', python, ['-m', 'venv', folder], { remedy });
  const files = requirementFiles.flatMap((file) => ['-r', join(root, file)]);
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-input',
    '--disable-pip-version-check',
    '--prefer-binary',
  ];
  await run(
    'Installing MiniStack, cfn-lint and the AWS CLI',
    venvPython(),
    [...pip, '--require-hashes', ...files],
    {
      remedy: 'check that the Python package index is reachable and run the command again',
    },
  );
  writeFileSync(join(folder, stampName), '');
}

function findPython() {
  const asked = process.env.REKEY_PYTHON;
  const found = [];
  for (const name of asked
    ? [asked]
    : ['python3', 'python', 'python3.13', 'python3.12', 'python3.11', 'python3.10']) {
    const probe = 'import sys; print("%d.%d" % sys.version_info[:2]); import venv, ensurepip';
    const { status, stdout, error } = spawnSync(name, ['-c', probe], { encoding: 'utf8', timeout: 30_000 });
    if (error) continue;
    const [major = 0, minor = 0] = stdout.trim().split('.').map(Number);
    if (status === 0 && major === 3 && minor >= 10) return name;
    found.push(`${name} is ${stdout.trim() || 'broken'}${minor >= 10 ? ' without its venv module' : ''}`);
  }
  throw new SetupError(
    `The local stack needs Python 3.10 or newer with its venv module (${found.join(', ') || 'none found'}): ` +
      'install it (Debian and Ubuntu: `apt install python3 python3-venv`) or name one in REKEY_PYTHON.',
  );
}

/** Runs a program in silence; tells what goes on once it takes longer than 2 s; shows its output only if it fails. */
async function run(what, program, args, { remedy }) {
  const started = Date.now();
  const say = (text) => process.stderr.write(`${text}\n`);
  let output = '';
  const soon = setTimeout(() => say(`${what} …`), 2_000);
  const often = setInterval(() => say(`${what} … ${Math.round((Date.now() - started) / 1000)} s`), 20_000);
  try {
    const code = await new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: installLimitMs,
        shell: process.platform === 'win32',
      });
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk) => (output = (output + chunk).slice(-8_000)));
      }
      child.on('error', reject);
      child.on('close', (status, signal) => resolve(signal ?? status));
    });
    if (code === 0) return;
    say(output.trimEnd());
    throw new SetupError(`${what} failed (${code}): ${remedy}.`);
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw new SetupError(`${what} failed, \`${program}\` can't be started (${error.code}): ${remedy}.`);
  } finally {
    clearTimeout(soon);
    clearInterval(often);
  }
}

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
