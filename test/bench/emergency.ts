import { setTimeout as sleep } from 'node:timers/promises';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { tryLogin } from '../../local/demo/database.ts';
import { databaseCredential } from '../../local/demo/declaration.ts';
import { readLogin } from '../../local/demo/fleet.ts';
import type { World } from '../../local/demo/world.ts';
import type { RecordedCall } from '../../local/gateway/recorder.ts';
import type { EmergencyAnswer, EmergencyStarted } from '../../shared/api/messages.ts';
import { startDelayingProxy, type DelayingProxy, type RoundTrip } from './delaying-proxy.ts';
import { count, ratio, type Figures } from './figures.ts';
import { criticalPath, type Span } from './path.ts';
import { callApi, until, type Stage, type Tell } from './stage.ts';

/** By how much each call is held up: much more than the call itself takes here. */
const DELAY_MS = 250;
/** By how much what runs beside the path is held up in the second run, on top. */
const ASIDE_MS = 750;
const LIMIT_MS = 60_000;
const NAME = 'leaked';
const SECRET = `agents/${NAME}`;

/**
 * Each of these must come after the one before it: the request, the ledger's look-up of the name, the start of the
 * machine, the targets from the ledger, the administrator's login, and the database. A call to the database is a round
 * trip, since that is what distance multiplies: a login over TLS with SCRAM has five by protocol, the revocation one.
 */
const MANDATORY = [
  'request: POST /v1/emergencies',
  'control-api: dynamodb GetItem',
  'control-api: states StartExecution',
  'revoke-database: dynamodb GetItem',
  'revoke-database: secretsmanager GetSecretValue',
  'database: TLS request',
  'database: TLS handshake',
  'database: login',
  'database: SCRAM proof',
  'database: SCRAM proof checked',
  'database: statement',
];
const FROM_START_OF_MACHINE = MANDATORY.indexOf('revoke-database: dynamodb GetItem');

/** From the request to the database refusing the login, every call held up equally; twice, to see what is waited for. */
export async function emergency(stage: Stage, tell: Tell): Promise<Figures> {
  const world = await stage.world();
  const proxy = await startDelayingProxy(world.server);
  try {
    await stage.register(
      databaseCredential({ ...world.server, port: proxy.port }, NAME, 'reports_app', 'report-agents'),
    );
    tell('one emergency to warm the functions up');
    await revoke(world, proxy, { aside: 0, delay: 0 });
    tell(`each call held up by ${DELAY_MS} ms`);
    const even = await revoke(world, proxy, { aside: 0, delay: DELAY_MS });
    tell(`the same, and what runs beside the path by ${ASIDE_MS} ms more`);
    const uneven = await revoke(world, proxy, { aside: ASIDE_MS, delay: DELAY_MS });
    return report(even, uneven);
  } finally {
    await proxy.stop();
  }
}

/** What one emergency took, in milliseconds from its request. */
interface Run {
  readonly refusedAfter: number;
  readonly machineStartedAfter: number;
  readonly spans: readonly Span[];
}

async function revoke(
  world: World,
  proxy: DelayingProxy,
  held: { readonly delay: number; readonly aside: number },
): Promise<Run> {
  const { recorder, faults } = world.stack.gateway;
  const vault = new SecretsManagerClient(world.stack.clientConfig);
  const login = await readLogin(vault, SECRET);
  vault.destroy();
  if ((await tryLogin(world.server, login)) === 'refused')
    throw new Error('the login does not work to begin with');
  const after = recorder.seq;
  faults.add({ action: { kind: 'delay', ms: held.delay } });
  if (held.aside > 0) {
    const action = { kind: 'delay', ms: held.aside } as const;
    // The intent reads the credential too, after the look-up for the targets; whatever it writes is beside as well.
    const reads = { function: 'revoke-database', operation: 'GetItem' };
    for (let nth = 2; nth <= 4; nth++) faults.add({ match: reads, nth, action });
    faults.add({ match: { function: 'revoke-database', operation: 'TransactWriteItems' }, action });
  }
  // The first connection revokes what the ledger knows; the others look for what it doesn't know.
  proxy.reset((connection) => held.delay + (connection > 1 ? held.aside : 0));
  const startedAt = Date.now();
  const refused = refusal(world, login);
  const started = await callApi<EmergencyStarted>(world, 'POST', '/v1/emergencies', {
    credentials: [NAME],
    incident: `INC-${after}`,
    reason: 'bench',
    replace: true,
  });
  const refusedAt = await refused;
  // Calls are recorded once they are answered.
  await sleep(2 * (held.delay + held.aside) + 200);
  faults.clear();
  const { roundTrips } = proxy;
  proxy.reset(() => 0);
  const { status } = await until(
    () => callApi<EmergencyAnswer>(world, 'GET', `/v1/emergencies/${started.id}`),
    (answer) => answer.status !== 'RUNNING',
    LIMIT_MS,
  );
  if (status !== 'SUCCEEDED') throw new Error(`the emergency ended as ${status}`);
  const calls = recorder.calls({ after });
  const machine = calls.find((call) => call.operation === 'StartExecution');
  return {
    refusedAfter: refusedAt - startedAt,
    machineStartedAfter: Date.parse(machine?.at ?? '') + held.delay - startedAt,
    spans: spansOf(calls, roundTrips, startedAt, refusedAt, held.delay),
  };
}

/** When the server first refuses this login. */
async function refusal(world: World, login: { user: string; password: string }): Promise<number> {
  await until(
    () => tryLogin(world.server, login),
    (answer) => answer === 'refused',
    LIMIT_MS,
    15,
  );
  return Date.now();
}

/** Calls and round trips that began before the refusal. */
function spansOf(
  calls: readonly RecordedCall[],
  roundTrips: readonly RoundTrip[],
  startedAt: number,
  refusedAt: number,
  delay: number,
): Span[] {
  const seen = new Map<string, number>();
  const aws = calls
    .filter((call) => Date.parse(call.at) < refusedAt)
    .sort((a, b) => a.at.localeCompare(b.at))
    .map((call): Span => {
      const isRequest = call.service === 'execute-api';
      const name = isRequest
        ? `request: ${call.operation}`
        : `${call.function ?? 'somebody'}: ${call.service} ${call.operation}`;
      const times = (seen.get(name) ?? 0) + 1;
      seen.set(name, times);
      const from = Date.parse(call.at) - startedAt;
      // Of these two only the way there is on the path: what they start goes on before they are answered.
      const way = isRequest || call.operation === 'StartExecution' ? delay : call.durationMs;
      // The API looks both for an id and for a name, at once; the first read of the revocation is that of the targets.
      const mandatory = MANDATORY.includes(name) && times <= (call.function === 'control-api' ? 2 : 1);
      return { name: times === 1 ? name : `${name} (${times})`, from, to: from + way, mandatory };
    });
  const database = roundTrips
    .filter((trip) => trip.sentAt < refusedAt)
    .map(({ connection, name, sentAt, deliveredAt }): Span => ({
      name: connection === 1 ? `database: ${name}` : `database, connection ${connection}: ${name}`,
      from: sentAt - startedAt,
      to: deliveredAt - startedAt,
      mandatory: connection === 1,
      chain: `connection ${connection}`,
    }));
  return [...aws, ...database];
}

function report(even: Run, uneven: Run): Figures {
  const path = criticalPath(even.spans, even.refusedAfter, DELAY_MS / 5);
  const superfluous = path.filter((span) => !span.mandatory);
  const relative = (ms: number): string => (ms / DELAY_MS).toFixed(2).padStart(6);
  const lines = path.map((span) => `${relative(span.from)} – ${relative(span.to)}  ${span.name}`);
  const missing = MANDATORY.filter((name) => !path.some((span) => span.name.replace(/ \(2\)$/, '') === name));
  const mandatory = MANDATORY.length * DELAY_MS;
  const fromMachine = (MANDATORY.length - FROM_START_OF_MACHINE) * DELAY_MS;
  const goal = { is: 'at most', bound: 1.2 } as const;
  const peer = `the delays of its ${MANDATORY.length} mandatory calls`;
  return {
    'emergency: request to refusal': ratio(even.refusedAfter / mandatory, '× of', peer, {
      goal,
      detail: [
        'critical path, in delays from the request:',
        ...lines,
        `${relative(even.refusedAfter)}           refused`,
      ],
    }),
    'emergency: start of the machine to refusal': ratio(
      (even.refusedAfter - even.machineStartedAfter) / fromMachine,
      '× of',
      `the delays of its ${MANDATORY.length - FROM_START_OF_MACHINE} mandatory calls`,
      { goal },
    ),
    'emergency: calls on the path that need not be': count(superfluous.length, 'calls', {
      goal: { is: 'at most', bound: 0 },
      detail: superfluous.map((span) => span.name),
    }),
    'emergency: mandatory calls not seen': count(missing.length, 'calls', {
      goal: { is: 'at most', bound: 0 },
      detail: missing,
    }),
    'emergency: calls beside the path held up': ratio(
      uneven.refusedAfter / even.refusedAfter,
      '× of',
      'not held up',
      {
        goal: { is: 'at most', bound: 1.1 },
        detail: [`beside the path: ${[...new Set(beside(even, path))].join('; ')}`],
      },
    ),
  };
}

function beside(run: Run, path: readonly Span[]): string[] {
  return run.spans.filter((span) => !path.includes(span)).map((span) => span.name);
}
