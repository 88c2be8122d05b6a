import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { problemOf } from '../../../shared/api/problems.ts';
import { credentialView, rotationView } from '../../../shared/api/views.ts';
import type { Incident } from '../../../shared/domain/credential.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { assertMayRotate } from '../../../shared/engine/start.ts';
import { CALLER, credentialOf, impactBody, ROTATION_ID, rotationOf } from '../api/fakes.ts';
import { ENV, rekey, startStandIn, type StandIn } from './stand-in.ts';

/** What the CLI says where a person has to decide what to do next. */
let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

const EMERGENCY = 'e3f1d4f0-3a52-4c43-9b3e-0f6f7f6f0a02';

function haltedAt(stage: Incident['stage']) {
  const { current: _dead, ...rest } = credentialOf({
    status: stage === 'replaced' ? 'active' : 'halted',
    incident: {
      id: 'INC-7',
      execution: EMERGENCY,
      began: '2026-11-22T11:40:00.000Z',
      actor: CALLER,
      reason: 'key in a repository',
      stage,
      generation: 2,
      replacement: 'f-1',
    },
  });
  return rest;
}

describe('rekey show of a credential that an emergency has halted', () => {
  const showing = (stage: Incident['stage'], execution?: object): void => {
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { credential: credentialView(haltedAt(stage)), rotations: [] },
    };
    if (execution === undefined) return;
    api.routes[`GET /v1/emergencies/${EMERGENCY}`] = {
      body: { id: EMERGENCY, startedAt: '2026-11-22T11:40:00.000Z', results: [], ...execution },
    };
  };

  it('has the emergency with its id, when, by whom and why, and how it stands', async () => {
    showing('halted', { status: 'FAILED', endedAt: '2026-11-22T11:41:00.000Z' });
    const { exit, stdout } = await rekey(api, ['show', 'orders-db']);
    expect(exit).toBe(0);
    for (const text of ['INC-7', EMERGENCY, '2026-11-22 11:40:00 UTC', CALLER, 'key in a repository']) {
      expect(stdout).toContain(text);
    }
    expect(stdout).toMatch(/state +halted – revoked; agents are halted/);
    expect(stdout).toMatch(/execution +failed, ended 2026-11-22 11:41:00 UTC/);
    expect(stdout).toMatch(/do next +find the cause .*runbook.*rekey revoke orders-db --incident INC-7/);
  });

  it('says to wait while it is under way, and that a revocation without replacement is done', async () => {
    showing('generated', { status: 'RUNNING' });
    expect((await rekey(api, ['show', 'orders-db'])).stdout).toMatch(/do next +wait/);
    showing('halted', { status: 'SUCCEEDED', endedAt: '2026-11-22T11:41:00.000Z' });
    expect((await rekey(api, ['show', 'orders-db'])).stdout).toMatch(/do next +it was to revoke only/);
  });

  it('shows what the ledger knows where the emergency itself cannot be read', async () => {
    showing('halted');
    const { exit, stdout } = await rekey(api, ['show', 'orders-db']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/incident +INC-7/);
    expect(stdout).not.toContain('execution ');
    const machine = await rekey(api, ['show', 'orders-db', '--json']);
    expect(JSON.parse(machine.stdout)).toMatchObject({
      credential: { emergency: { incident: 'INC-7', stage: 'halted', reason: 'key in a repository' } },
    });
  });

  it('is silent about an emergency once its agents may go on', async () => {
    showing('resumed');
    expect((await rekey(api, ['show', 'orders-db'])).stdout).not.toContain('INC-7');
  });
});

describe('rekey rotate of a halted credential', () => {
  const halted = haltedAt('halted');

  it('says what brings it back', async () => {
    let refused: unknown;
    try {
      assertMayRotate(halted, undefined);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(RekeyError);
    const document = problemOf(refused);
    api.routes['POST /v1/credentials/orders-db/rotations'] = {
      status: document.status,
      body: document,
      type: 'application/problem+json',
    };
    const { exit, stderr } = await rekey(api, ['rotate', 'orders-db']);
    expect(exit).toBe(1);
    expect(stderr).toMatch(/orders-db is halted[\s\S]*rekey revoke orders-db --incident INC-7[\s\S]*runbook/);
  });

  it('says so in a dry run too', async () => {
    api.routes['GET /v1/credentials/orders-db/impact'] = { body: await impactBody(halted) };
    const { exit, stderr } = await rekey(api, ['rotate', 'orders-db', '--dry-run']);
    expect(exit).toBe(1);
    expect(stderr).toMatch(/orders-db is halted[\s\S]*rekey show orders-db/);
  });
});

describe('a second rekey rollback', () => {
  const rollback = {
    kind: 'operator',
    actor: CALLER,
    reason: 'errors',
    at: '2026-11-22T11:55:00.000Z',
  } as const;
  const back = rotationView(rotationOf({ phase: 'suspending', loser: 'next', rollback }));

  beforeEach(() => {
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { credential: { ...credentialView(credentialOf()), rotation: back }, rotations: [back] },
    };
    api.routes[`POST /v1/credentials/orders-db/rotations/${ROTATION_ID}/rollback`] = {
      status: 202,
      body: { rotation: back },
    };
  });

  it('says that it was asked for already, by whom, when and why', async () => {
    const { exit, stdout } = await rekey(api, ['rollback', 'orders-db']);
    expect(exit).toBe(0);
    expect(stdout).toContain(`asked for already by ${CALLER} at 2026-11-22 11:55:00 UTC: errors; it goes on`);
    expect(stdout).not.toContain('rolling back rotation');
  });

  it('says so with --dry-run, and as JSON', async () => {
    const { exit, stdout } = await rekey(api, ['rollback', 'orders-db', '--dry-run']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/asked for already by[\s\S]*Nothing was changed/);
    const machine = await rekey(api, ['rollback', 'orders-db', '--json']);
    expect(JSON.parse(machine.stdout)).toMatchObject({
      already: true,
      rotation: { rollback: { actor: CALLER } },
    });
  });
});

describe('an API that nobody can reach', () => {
  const away = async (args: readonly string[], env: Record<string, string> = {}): Promise<string> => {
    const { url } = api;
    await api.close();
    const ran = await rekey(undefined, [...args, '--api-url', url], { env });
    expect(ran).toMatchObject({ exit: 5, stdout: '' });
    expect(ran.stderr).toContain(`the control API at ${url} can't be reached (ECONNREFUSED)`);
    return ran.stderr;
  };

  it('is named in a dry run with profile, region and what to check, and nothing is said to have begun', async () => {
    const keys = { AWS_PROFILE: 'work' };
    const said = await away(['rotate', 'orders-db', '--dry-run', '--region', 'eu-west-1'], keys);
    expect(said).toMatch(/the keys in the environment in eu-west-1\. Check the network.*--api-url.*--stage/);
    expect(said).not.toContain('may have begun');
    expect(said).not.toContain(ENV.AWS_SECRET_ACCESS_KEY);
  });

  it('is told from one that went away in the middle: nothing was sent', async () => {
    const said = await away(['rotate', 'orders-db']);
    expect(said).toContain('nothing was sent');
    expect(said).not.toContain('may have begun');
  });

  it('may have begun what a first attempt had sent', async () => {
    api.routes['POST /v1/credentials/orders-db/rotations'] = () => {
      void api.close();
      return 'cut';
    };
    const { exit, stderr } = await rekey(api, ['rotate', 'orders-db']);
    expect(exit).toBe(5);
    expect(stderr).toContain('may have begun');
    expect(stderr).not.toContain('nothing was sent');
  });
});

describe('what revokes by hand, for the day on which Rekey is down', () => {
  const text = 'ALTER ROLE "orders_a" NOLOGIN PASSWORD NULL;';
  const shown = (changes: object) => {
    api.routes['GET /v1/credentials/orders-db'] = {
      body: {
        credential: { ...credentialView(credentialOf()), ...changes },
        rotations: [],
        manualRevocation: [{ handle: { id: 'orders_a', generation: 1 }, text }],
      },
    };
    return rekey(api, ['show', 'orders-db']);
  };

  it('is shown with the credential, and once only where it is observed', async () => {
    expect((await shown({})).stdout).toMatch(/revoking by hand.*\n.*NOLOGIN/);
    const observed = (await shown({ adoption: 'observed', byHand: text })).stdout;
    expect(observed.split('NOLOGIN')).toHaveLength(2);
  });
});

describe('rekey revoke --no-replace', () => {
  beforeEach(() => {
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { credential: credentialView(credentialOf()), rotations: [] },
    };
    api.routes['POST /v1/emergencies'] = {
      status: 202,
      body: { id: EMERGENCY, credentials: ['id'], unresolved: [] },
    };
  });
  const args = ['revoke', 'orders-db', '--incident', 'INC-7', '--reason', 'leaked', '--no-replace'];

  it('asks for a revocation alone, and says that agents stay halted and what ends that', async () => {
    const { exit, stdout } = await rekey(api, [...args, '--yes']);
    expect(exit).toBe(0);
    expect(api.seen.at(-1)?.body).toMatchObject({ replace: false });
    expect(stdout).toContain('Agents stay halted and rotations are refused');
    expect(stdout).toContain('rekey revoke orders-db --incident INC-7 --reason');
  });

  it('says in its confirmation what else happens, and does nothing without a yes', async () => {
    const { exit, stdout } = await rekey(api, args, { tty: true, answer: 'no' });
    expect(exit).toBe(1);
    for (const what of [
      'sessions are ended',
      'told to halt',
      'given up',
      'stay halted',
      'audit trail',
      'events',
    ]) {
      expect(stdout).toContain(what);
    }
    expect(api.seen.filter(({ method }) => method === 'POST')).toEqual([]);
  });
});
