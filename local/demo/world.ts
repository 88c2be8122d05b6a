import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { OUTPUT } from '../../shared/names.ts';
import { deploy, type Deployment } from '../deploy.ts';
import { startPostgres, type Postgres } from '../postgres/start.ts';
import { startLocalStack, type LocalStack } from '../stack.ts';
import { onTermination } from '../termination.ts';
import { seed } from './database.ts';

/** Everything that the demo and the end-to-end tests run on: AWS, a database, Rekey deployed. */
export interface World {
  readonly stack: LocalStack;
  readonly server: Postgres;
  readonly deployment: Deployment;
  /** What it was deployed with, beside its stage. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Folder for files of this run. */
  readonly dir: string;
  /** Environment for `rekey` and other clients. */
  readonly env: Readonly<Record<string, string>>;
  /** An output of whichever stack has it. */
  output(name: string): string;
  /** Deploys the app of this folder over what is deployed, with the same settings: another version of Rekey. */
  upgrade(appDir: string): Promise<void>;
  stop(): Promise<void>;
}

type More = Readonly<Record<string, unknown>>;

/** Databases only, and waits that the local stage shortens; the settings of AWS stages refuse these. */
const LOCAL_SETTINGS = {
  types: ['database'],
  timing: {
    minWindowSeconds: 1,
    rotateTimeoutSeconds: 60,
    reconcileEverySeconds: 60,
    planEverySeconds: 60,
    stuckAfterSeconds: 20,
  },
};

/**
 * Starts everything, roles enforced, and deploys the real CDK app, with `more` settings beside the shortened waits; they may
 * name what is made in the stack first. Cleans up after itself where a part fails.
 */
export async function startWorld(
  progress: (line: string) => void,
  more: More | ((stack: LocalStack) => Promise<More>) = {},
): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'rekey-world-'));
  const remove = (): Promise<void> => rm(dir, { recursive: true, force: true });
  const forget = onTermination(remove);
  const cleanups: (() => Promise<void>)[] = [
    async () => {
      forget();
      await remove();
    },
  ];
  const stop = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const [stack, server] = await settledTogether(
      startLocalStack({ iam: true }).then((started) => {
        cleanups.push(() => started.stop());
        return started;
      }),
      startPostgres().then((started) => {
        cleanups.push(() => started.stop());
        return started;
      }),
    );
    progress('AWS emulator and PostgreSQL are up');
    const settings = { ...LOCAL_SETTINGS, ...(typeof more === 'function' ? await more(stack) : more) };
    const settingsFile = join(dir, 'settings.json');
    await writeFile(settingsFile, JSON.stringify(settings));
    await seed(server, stack);
    const deployApp = (appDir: string): Promise<Deployment> =>
      deploy(stack, { appDir, context: { stage: 'local', settings: settingsFile }, progress });
    const deployment = await deployApp(dirname(dirname(import.meta.dirname)));
    const outputs = Object.assign({}, ...Object.values(deployment.outputs)) as Record<string, string>;
    const output = (name: string): string => {
      const value = outputs[name];
      if (value === undefined) throw new Error(`no stack has an output ${name}`);
      return value;
    };
    const apiId = /([a-z0-9]+)\.execute-api/.exec(output(OUTPUT.apiUrl))?.[1] ?? '';
    const env = { ...stack.env, REKEY_STAGE: 'local', REKEY_API_URL: stack.apiUrl(apiId) };
    const upgrade = async (appDir: string): Promise<void> => void (await deployApp(appDir));
    return { stack, server, deployment, settings, dir, env, output, upgrade, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Both, or the first failure once neither is still starting: nothing may be left behind. */
async function settledTogether<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}
