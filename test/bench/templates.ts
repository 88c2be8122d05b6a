import { randomBytes, randomUUID } from 'node:crypto';
import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import pg from 'pg';
import { asSuperuser, DATABASE, tryLogin } from '../../local/demo/database.ts';
import type { World } from '../../local/demo/world.ts';

interface Login {
  readonly username: string;
  readonly password: string;
}

/** Which user the next password is for, and what makes it work. */
export interface Strategy {
  next(current: Login): string;
  set(world: World, current: Login, pending: Login): Promise<void>;
}

/** One user whose password is changed: AWS's template for a single user, in our own words. */
export const singleUser: Strategy = {
  next: (current) => current.username,
  set: (world, _current, pending) => setPassword(world, pending),
};

/** Two users in turn, the second one made a member of the first at its creation: AWS's template for alternating users. */
export const alternatingUsers: Strategy = {
  next: ({ username }) =>
    username.endsWith('_clone') ? username.slice(0, -'_clone'.length) : `${username}_clone`,
  async set(world, current, pending) {
    const known = await exists(world, pending.username);
    if (!known) {
      await asSuperuser(
        world.server,
        DATABASE,
        `CREATE ROLE ${pending.username} LOGIN; GRANT ${current.username} TO ${pending.username}`,
      );
    }
    await setPassword(world, pending);
  },
};

/** A credential that is rotated by the four steps as those templates take them, one after the other without a pause. */
export class TemplateCredential {
  readonly secret: string;
  readonly #world: World;
  readonly #vault: SecretsManagerClient;
  readonly #strategy: Strategy;

  private constructor(world: World, secret: string, strategy: Strategy) {
    this.#world = world;
    this.#vault = new SecretsManagerClient(world.stack.clientConfig);
    this.#strategy = strategy;
    this.secret = secret;
  }

  /** Makes the user, which may do what `like` may, and its secret. */
  static async create(
    world: World,
    username: string,
    like: string,
    strategy: Strategy,
  ): Promise<TemplateCredential> {
    const credential = new TemplateCredential(world, `bench/${username}`, strategy);
    const login = { username, password: newPassword() };
    await asSuperuser(
      world.server,
      DATABASE,
      `CREATE ROLE ${username} LOGIN PASSWORD '${login.password}'; GRANT ${like} TO ${username}`,
    );
    await credential.#vault.send(
      new CreateSecretCommand({ Name: credential.secret, SecretString: JSON.stringify(login) }),
    );
    return credential;
  }

  async rotate(): Promise<void> {
    const token = randomUUID();
    const SecretId = this.secret;
    // createSecret
    const found = await this.#vault.send(new GetSecretValueCommand({ SecretId, VersionStage: 'AWSCURRENT' }));
    const current = JSON.parse(found.SecretString ?? '') as Login;
    const pending = { username: this.#strategy.next(current), password: newPassword() };
    await this.#vault.send(
      new PutSecretValueCommand({
        SecretId,
        ClientRequestToken: token,
        SecretString: JSON.stringify(pending),
        VersionStages: ['AWSPENDING'],
      }),
    );
    // setSecret
    await this.#strategy.set(this.#world, current, pending);
    // testSecret
    const login = { user: pending.username, password: pending.password };
    if ((await tryLogin(this.#world.server, login)) === 'refused')
      throw new Error('the new password does not work');
    // finishSecret
    const { VersionIdsToStages = {} } = await this.#vault.send(new DescribeSecretCommand({ SecretId }));
    const from = Object.entries(VersionIdsToStages).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0];
    await this.#vault.send(
      new UpdateSecretVersionStageCommand({
        SecretId,
        VersionStage: 'AWSCURRENT',
        MoveToVersionId: token,
        RemoveFromVersionId: from,
      }),
    );
  }

  close(): void {
    this.#vault.destroy();
  }
}

async function setPassword(world: World, { username, password }: Login): Promise<void> {
  await asSuperuser(world.server, DATABASE, `ALTER ROLE ${username} PASSWORD '${password}'`);
}

async function exists({ server }: World, username: string): Promise<boolean> {
  const { host, port, superuser, caPem } = server;
  const client = new pg.Client({ host, port, ...superuser, database: DATABASE, ssl: { ca: caPem } });
  await client.connect();
  try {
    const { rows } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [username]);
    return rows.length > 0;
  } finally {
    await client.end();
  }
}

/** Letters and digits: safe inside a literal. */
function newPassword(): string {
  return randomBytes(24).toString('hex');
}
