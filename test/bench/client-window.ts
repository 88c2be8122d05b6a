import { setTimeout as sleep } from 'node:timers/promises';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import pg from 'pg';
import { createCredentialSource } from '../../client/src/create.ts';
import { loginOf, type Login } from '../../client/src/login.ts';
import { secretsManagerVault } from '../../client/src/secrets-manager.ts';
import { connection, isRefusal } from '../../local/demo/database.ts';
import { startPostgres, type Postgres } from '../../local/postgres/start.ts';
import { SECRET } from './client-caches.ts';
import { count, type Figures } from './figures.ts';
import { startSecretsManager, type SecretsManagerServer } from '../fakes/secrets-manager-server.ts';

const ROTATIONS = 8;
const WORKERS = 3;
const STEP_MS = 250;
/** However slow the machine is, a step lasts longer than a login, as in any real rotation. */
const LOGINS_A_STEP = 3;
const USER = 'single';

/** What agents of one way have gone through. */
interface Tally {
  logins: number;
  failed: number;
}

/** A way to log in with a secret that rotates. */
interface Way {
  readonly tally: Tally;
  readonly login: () => Promise<void>;
  /** Somebody says that the label has moved. */
  readonly told: () => Promise<void>;
}

/**
 * Logins without pause at a PostgreSQL with a single user, while its password changes: half of the rotations as the four
 * steps do it (only the pending password works until finishSecret), half with a server that lags (only the previous one
 * works after it). Both ways hear at once that the label has moved.
 */
export async function clientWindow(tell: (line: string) => void): Promise<Figures> {
  const database = await startPostgres();
  const admin = new pg.Client(session(database, database.superuser));
  try {
    await admin.connect();
    await admin.query(`CREATE ROLE ${USER} LOGIN PASSWORD 'password 0'`);
    await using vault = await startSecretsManager(valueOf('password 0'));
    const secrets = secretsManagerVault(new SecretsManagerClient(vault.clientConfig));
    const options = { secretId: SECRET, vault: secrets, lifetimeSeconds: 900 };
    await using source = await createCredentialSource(options);
    const ours: Way = {
      tally: { logins: 0, failed: 0 },
      login: async () => source.use(async (credential) => logIn(database, loginOf(credential))),
      told: async () => void (await source.refreshNow()),
    };
    const theirs = refetchAndRetryOnce(database, vault);
    tell(`${ROTATIONS} rotations under ${WORKERS} agents each`);
    const ended = new AbortController();
    const work = [ours, theirs].flatMap((way) =>
      Array.from({ length: WORKERS }, async () => worker(way, ended.signal)),
    );
    for (let turn = 1; turn <= ROTATIONS; turn++) {
      const password = `password ${turn}`;
      const next = vault.put(valueOf(password), 'AWSPENDING');
      const activate = async (): Promise<unknown> => admin.query(`ALTER ROLE ${USER} PASSWORD '${password}'`);
      const finish = async (): Promise<unknown> => {
        vault.promote(next);
        return Promise.all([ours.told(), theirs.told()]);
      };
      const [first, second] = turn % 2 === 1 ? [activate, finish] : [finish, activate];
      await first();
      await step([ours, theirs]);
      await second();
      await step([ours, theirs]);
    }
    ended.abort();
    await Promise.all(work);
    return {
      'client failed logins in rotations': count(ours.tally.failed, `of ${ours.tally.logins} logins`, {
        goal: { is: 'at most', bound: 0 },
      }),
      'client peer: refetch and retry once': count(
        theirs.tally.failed,
        `failed of ${theirs.tally.logins} logins`,
        { goal: { is: 'more than', bound: 0 } },
      ),
    };
  } finally {
    await admin.end();
    await database.stop();
  }
}

/** Lets a step of a rotation last, for each agent. */
async function step(ways: readonly Way[]): Promise<void> {
  const goals = ways.map(({ tally }) => tally.logins + LOGINS_A_STEP * WORKERS);
  await sleep(STEP_MS);
  while (ways.some(({ tally }, at) => tally.logins < (goals[at] ?? 0))) await sleep(20);
}

/** What most clients do: keep the value; after a refusal read it again, and try once more. */
function refetchAndRetryOnce(database: Postgres, vault: SecretsManagerServer): Way {
  const client = new SecretsManagerClient(vault.clientConfig);
  let kept: Login | undefined;
  const read = async (): Promise<Login> => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: SECRET }));
    const { username, password } = JSON.parse(SecretString ?? '{}') as { username: string; password: string };
    return (kept = { user: username, password });
  };
  return {
    tally: { logins: 0, failed: 0 },
    told: async () => void (await read()),
    login: async () => {
      try {
        await logIn(database, kept ?? (await read()));
      } catch (error) {
        if (!isRefusal(error)) throw error;
        await logIn(database, await read());
      }
    },
  };
}

async function worker({ tally, login }: Way, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    tally.logins++;
    try {
      await login();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      tally.failed++;
    }
    await sleep(5);
  }
}

async function logIn(database: Postgres, login: Login): Promise<void> {
  const client = new pg.Client(session(database, login));
  client.on('error', () => undefined);
  try {
    await client.connect();
  } finally {
    await client.end().catch(() => undefined);
  }
}

function valueOf(password: string): string {
  return JSON.stringify({ username: USER, password });
}

function session(database: Postgres, login: Login): pg.ClientConfig {
  return { ...connection(database, login), database: 'postgres' };
}
