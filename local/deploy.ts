import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { applyBridged } from './bridge/apply.ts';
import { bridgeOutput, fillIn, takeOut, type TakenOut, type Template } from './bridge/template.ts';
import { BRIDGED_TYPES } from './bridge/types.ts';
import { onTermination } from './termination.ts';
import type { LocalStack } from './stack.ts';

export interface DeployOptions {
  /** Folder of the CDK app, with its cdk.json. */
  readonly appDir: string;
  /** CDK context, as `--context name=value`. */
  readonly context?: Readonly<Record<string, string>>;
  /** Environment added for the app. */
  readonly env?: Readonly<Record<string, string>>;
  /** Told what goes on, a short line each. */
  readonly progress?: (line: string) => void;
  /** Limit for each run of the CDK CLI. */
  readonly timeoutMs?: number;
}

export interface Deployment {
  /** Outputs by stack name, then by output name. */
  readonly outputs: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Resources that CloudFormation didn't deploy, by type. */
  readonly bridged: Readonly<Record<string, number>>;
  readonly seconds: number;
}

const root = dirname(import.meta.dirname);

/** Deploys a CDK app into the local stack with the real CDK CLI. Can be run again to update what is deployed. */
export async function deploy(stack: LocalStack, options: DeployOptions): Promise<Deployment> {
  const started = Date.now();
  const tell = options.progress ?? (() => undefined);
  const work = await mkdtemp(join(tmpdir(), 'rekey-deploy-'));
  const forget = onTermination(() => rm(work, { recursive: true, force: true }));
  const cdk = (args: readonly string[], cwd = options.appDir) =>
    runCdk(stack, options, work, cwd, args, tell);
  const assembly = join(work, 'cdk.out');
  const outputsFile = join(work, 'outputs.json');
  let failed = true;
  try {
    const context = Object.entries(options.context ?? {}).flatMap(([name, value]) => [
      '--context',
      `${name}=${value}`,
    ]);
    tell('synthesising');
    // Both need nothing of each other and each spends most of its time starting up.
    await together([
      cdk(['synth', '--quiet', '--output', assembly, ...context]),
      cdk(['bootstrap', `aws://${stack.accountId}/${stack.region}`], work), // there is no app there, and it needs none
    ]);
    const taken = await takeOutOfAssembly(assembly);
    const bridged = count([...taken.values()].flat().map(({ type }) => type));
    for (const [type, number] of Object.entries(bridged)) {
      tell(`bridged: ${number} × ${type} (${BRIDGED_TYPES[type]?.reason ?? ''})`);
    }
    const approve = ['--require-approval', 'never', '--progress', 'events', '--concurrency', '4'];
    await cdk(['deploy', '--all', '--app', assembly, ...approve, '--outputs-file', outputsFile]);
    const outputs = await readOutputs(outputsFile);
    for (const [stackName, resources] of taken) {
      for (const resource of resources) {
        const properties = fillIn(resource, outputs[stackName] ?? {});
        await applyBridged(stack, resource.type, properties, {
          defaultName: `${stackName}-${resource.logicalId}`,
        });
      }
    }
    failed = false;
    return { outputs: withoutBridge(outputs), bridged, seconds: (Date.now() - started) / 1000 };
  } finally {
    forget();
    // A failed deployment leaves its log for whoever looks into it; the error names it.
    if (!failed) await rm(work, { recursive: true, force: true });
  }
}

/** Waits for all, also where one fails: none may go on in a folder that is being removed. */
async function together(tasks: readonly Promise<void>[]): Promise<void> {
  const failure = (await Promise.allSettled(tasks)).find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

/** Takes bridged resources out of every template of a cloud assembly, nested stages included. */
async function takeOutOfAssembly(assembly: string): Promise<Map<string, TakenOut[]>> {
  const taken = new Map<string, TakenOut[]>();
  for (const entry of await readdir(assembly, { recursive: true })) {
    if (!entry.endsWith('.template.json')) continue;
    const file = join(assembly, entry);
    const template: Template = JSON.parse(await readFile(file, 'utf8'));
    const resources = takeOut(template);
    if (resources.length === 0) continue;
    // Assets keep the name that the CLI gave them by the hash of the whole template; only the content differs.
    await writeFile(file, JSON.stringify(template));
    taken.set(await stackNameOf(file), resources);
  }
  return taken;
}

interface Manifest {
  readonly artifacts: Record<string, { properties?: { templateFile?: string; stackName?: string } }>;
}

async function stackNameOf(templateFile: string): Promise<string> {
  const name = templateFile.slice(dirname(templateFile).length + 1);
  const manifest: Manifest = JSON.parse(await readFile(join(dirname(templateFile), 'manifest.json'), 'utf8'));
  const found = Object.entries(manifest.artifacts).find(
    ([, artifact]) => artifact.properties?.templateFile === name,
  );
  if (found === undefined) throw new Error(`${name}: bridged resources in a nested stack are not supported`);
  return found[1].properties?.stackName ?? found[0];
}

async function runCdk(
  stack: LocalStack,
  options: DeployOptions,
  work: string,
  cwd: string,
  args: readonly string[],
  tell: (line: string) => void,
): Promise<void> {
  const logFile = join(work, `cdk-${args[0] ?? ''}.log`);
  const log = createWriteStream(logFile);
  const flags = ['--no-notices', '--no-version-reporting', '--no-color'];
  const child = spawn(
    process.execPath,
    [join(root, 'node_modules', 'aws-cdk', 'bin', 'cdk'), ...args, ...flags],
    {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 10 * 60_000,
      env: {
        ...process.env,
        REKEY_STORED_BUNDLES: '1',
        ...stack.env,
        ...options.env,
        PATH: [dirname(process.execPath), join(root, 'node_modules', '.bin'), process.env['PATH']].join(
          delimiter,
        ),
        CI: 'true',
        CDK_DISABLE_VERSION_CHECK: '1',
        CDK_DISABLE_CLI_TELEMETRY: 'true',
      },
    },
  );
  const forget = onTermination(async () => void child.kill());
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`);
      last.push(line);
      if (last.length > 40) last.shift();
      const deployed = /^\s*✅\s+(.+)$/.exec(line)?.[1];
      if (deployed !== undefined) tell(`deployed ${deployed}`);
    });
  }
  const status = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? code ?? 'unknown'));
  }).finally(forget);
  log.end();
  if (status !== 0) {
    throw new Error(`\`cdk ${args[0] ?? ''}\` failed (${status}); whole log: ${logFile}\n${last.join('\n')}`);
  }
}

type Outputs = Record<string, Record<string, string>>;

async function readOutputs(file: string): Promise<Outputs> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return {}; // the CLI writes no file where no stack has an output
  }
}

function withoutBridge(outputs: Outputs): Outputs {
  const visible = (values: Record<string, string>) =>
    Object.fromEntries(Object.entries(values).filter(([name]) => !name.startsWith(bridgeOutput)));
  return Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, visible(values)]));
}

function count(types: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const type of types) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}
