import { setTimeout as sleep } from 'node:timers/promises';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type {
  AuditAnswer,
  EmergencyAnswer,
  EmergencyStarted,
  RotateAnswer,
  RotationView,
  ShowAnswer,
} from '../../shared/api/messages.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import { OUTPUT } from '../../shared/names.ts';
import { chainFaults, settledArchive } from './archive.ts';
import { tryLogin } from './database.ts';
import { databaseCredential, TTL_SECONDS, writeDeclaration } from './declaration.ts';
import { readLogin, startFleet } from './fleet.ts';
import { rekeyJson } from './rekey.ts';
import type { DemoReport, Moment } from './report.ts';
import type { World } from './world.ts';

type Tell = (line: string) => void;

/** Registers the demo's two credentials from a declaration file. */
export async function registerCredentials({ server, dir, env }: World, tell: Tell): Promise<void> {
  const file = await writeDeclaration(dir, [
    databaseCredential(server, 'orders', 'orders_app', 'order-agents'),
    databaseCredential(server, 'reports', 'reports_app', 'report-agents'),
  ]);
  await rekeyJson(['apply', '-f', file], env);
  tell('registered the credentials "orders" and "reports" from rekey.yaml');
}

/** Rotates "orders" while agents query without pause, to the end of its window and the retirement of the old one. */
export async function rotateUnderLoad(world: World, tell: Tell): Promise<DemoReport['rotation']> {
  const { stack, server, env } = world;
  const vault = new SecretsManagerClient(stack.clientConfig);
  const fleet = startFleet(server, stack, {
    agents: 3,
    secret: 'agents/orders',
    ttlSeconds: TTL_SECONDS,
    query: 'INSERT INTO shop.orders DEFAULT VALUES',
    pauseMs: 20,
  });
  try {
    await sleep(1000);
    const old = await readLogin(vault, 'agents/orders');
    tell(`3 agents query as ${old.user}, each query on a fresh login`);
    const { rotation } = await rekeyJson<RotateAnswer>(['rotate', 'orders', '--reason', 'demo'], env);
    const ended = await follow(world, 'orders', rotation.id, tell);
    await sleep(500);
    const stillIn = await tryLogin(server, old);
    tell(`a login with the old password is ${stillIn}`);
    await fleet.stop();
    const { queries, authFailures, permissionFailures, otherFailures } = fleet.counts;
    tell(`agents: ${queries} queries, ${authFailures} authentication failures`);
    if (otherFailures.size > 0) tell(`agents also met: ${[...otherFailures.keys()].join('; ')}`);
    return {
      status: ended.phase,
      queries,
      authFailures,
      permissionFailures,
      windowSeconds: windowSeconds(ended),
      oldCredentialRejected: stillIn === 'refused',
    };
  } finally {
    await fleet.stop();
    vault.destroy();
  }
}

/** Shows each phase of a rotation as it comes and answers its end. */
export async function follow(
  { env }: World,
  name: string,
  rotationId: string,
  tell: Tell,
  timeoutMs = 120_000,
): Promise<RotationView> {
  const end = Date.now() + timeoutMs;
  let phase = '';
  for (;;) {
    const { rotations } = await rekeyJson<ShowAnswer>(['show', name], env);
    const rotation = rotations.find((one) => one.id === rotationId);
    if (rotation !== undefined && rotation.phase !== phase) {
      phase = rotation.phase;
      tell(`rotation of ${name}: ${phase}`);
    }
    if (rotation?.over === true) return rotation;
    if (Date.now() > end) throw new Error(`the rotation of ${name} is still in phase ${phase}`);
    await sleep(500);
  }
}

/** From the opening of the window to the suspension of the old credential, in seconds. */
function windowSeconds({ window, suspendedAt, updatedAt }: RotationView): number {
  if (window === undefined) return 0;
  return Math.round((Date.parse(suspendedAt ?? updatedAt) - Date.parse(window.opensAt)) / 100) / 10;
}

/** Revokes "reports" in an emergency and measures at the database when the credential dies. */
export async function revokeInEmergency(world: World, tell: Tell): Promise<DemoReport['emergency']> {
  const { stack, server, env } = world;
  const vault = new SecretsManagerClient(stack.clientConfig);
  try {
    const leaked = await readLogin(vault, 'agents/reports');
    if ((await tryLogin(server, leaked)) === 'refused')
      throw new Error('"reports" does not work to begin with');
    const startedAt = Date.now();
    const revoking = rekeyJson<EmergencyStarted & EmergencyAnswer>(
      [
        'revoke',
        'reports',
        '--incident',
        'INC-1',
        '--reason',
        'demo: key seen in a public log',
        '--yes',
        '--wait',
      ],
      env,
    );
    const [started, deadAt] = await Promise.all([revoking, refusedAt(world, leaked)]);
    tell(`the leaked login was refused ${seconds(deadAt - startedAt)} s after the command was entered`);
    const replacement = await readLogin(vault, 'agents/reports');
    const accepted = await tryLogin(server, replacement);
    tell(`the emergency ended (${started.status}); agents may go on as ${replacement.user}`);
    return {
      status: started.status,
      revokedBeforeIssued: await revokedFirst(world),
      secondsToRevoke: seconds(deadAt - startedAt),
      oldCredentialRejected: (await tryLogin(server, leaked)) === 'refused',
      replacementAccepted: accepted === 'accepted' && replacement.password !== leaked.password,
    };
  } finally {
    vault.destroy();
  }
}

/** When the database first refused this login. */
async function refusedAt({ server }: World, login: { user: string; password: string }): Promise<number> {
  const end = Date.now() + 60_000;
  while (Date.now() < end) {
    if ((await tryLogin(server, login)) === 'refused') return Date.now();
    await sleep(20);
  }
  return Number.POSITIVE_INFINITY;
}

async function revokedFirst(world: World): Promise<boolean> {
  const records = await archived(world);
  const at = (action: AuditRecord['message']): number | undefined =>
    records.find((record) => record.entity.name === 'reports' && record.message === action)?.metadata
      .sequence;
  const revoked = at('emergency-revoked');
  const issued = at('replacement-intended');
  return revoked !== undefined && issued !== undefined && revoked < issued;
}

/** The auditor's question, from the ledger and held against the archive. */
export async function audit(
  world: World,
  tell: Tell,
): Promise<{ report: DemoReport['audit']; moments: Moment[] }> {
  const answer = await rekeyJson<AuditAnswer>(['audit'], world.env);
  const records = await archived(world);
  for (const one of answer.rotations) {
    tell(`${one.credential}: ${one.trigger} by ${one.actor}, old credential off: ${one.deactivation}`);
  }
  return {
    report: {
      records: answer.records,
      archived: records.length,
      gaps: answer.chain.faults.length + chainFaults(records),
      confirmed: answer.rotations.filter((one) => one.deactivation === 'CONFIRMED').length,
      rotations: answer.rotations.length,
    },
    moments: records.map((record) => ({
      at: record.time_dt,
      what: `${record.entity.name}: ${record.message}`,
    })),
  };
}

async function archived(world: World): Promise<AuditRecord[]> {
  const answer = await rekeyJson<AuditAnswer>(['audit'], world.env);
  return settledArchive(world.stack, world.output(OUTPUT.archive), answer.records);
}

function seconds(ms: number): number {
  return Math.round(ms / 10) / 100;
}
