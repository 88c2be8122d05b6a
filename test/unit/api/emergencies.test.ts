import { freshFamily, TERMS } from '../../support/families.ts';
import { describe, expect, it, vi } from 'vitest';
import type { SelectionAnswer } from '../../../shared/api/messages.ts';
import { answer } from '../../../lambdas/control-api/routes.ts';
import type { ControlServices } from '../../../lambdas/control-api/route.ts';
import { resolveForEmergency } from '../../../lambdas/control-api/emergency.ts';
import { selectForEmergency } from '../../../lambdas/control-api/selection.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { FamilyLeak } from '../../../shared/engine/families/leak.ts';
import type { LeakMatch } from '../../../shared/engine/leak.ts';
import {
  bodyOf,
  CALLER,
  ledgerWithRotation,
  credentialOf,
  eventOf,
  FakeLedger,
  FAMILY,
  fakeServices,
  ID,
  ROTATION_ID,
} from './fakes.ts';

describe('a leaked value', () => {
  const fingerprints = [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`];
  const body = { fingerprints, incident: 'INC-9', reason: 'seen in a chat' };
  const key = {
    credentialId: ID,
    handle: { id: 'orders_a', generation: 1, token: 'never shown' },
    versionId: ID,
    fingerprint: fingerprints[0] ?? '',
    issuedAt: '2026-11-01T00:00:00.000Z',
  };
  const asking = async (
    found: readonly LeakMatch[],
    more: object = {},
    families: readonly FamilyLeak[] = [],
  ) => {
    const services = {
      ...fakeServices(),
      reportLeak: vi.fn<ControlServices['reportLeak']>(async () => found),
      reportFamilyLeak: vi.fn<ControlServices['reportFamilyLeak']>(async () => families),
    };
    const headers = { 'idempotency-key': ROTATION_ID };
    const { response } = await answer(
      eventOf('POST', '/v1/leaks', { body: { ...body, ...more }, headers }),
      services,
    );
    return { response, services };
  };

  it('is reported by its fingerprints, under the caller’s name and key', async () => {
    const { response, services } = await asking([{ key, credential: credentialOf(), outcome: 'live' }]);
    expect(services.reportLeak).toHaveBeenCalledWith({
      fingerprints,
      incidentId: 'INC-9',
      reason: body.reason,
      actor: CALLER,
      replace: true,
      dryRun: false,
      token: ROTATION_ID,
    });
    expect(response.statusCode).toBe(202);
    expect(bodyOf(response)).toMatchObject({
      outcome: 'live',
      emergency: ROTATION_ID,
      matches: [{ credential: 'orders-db', outcome: 'live', holders: ['order-agents'] }],
    });
    expect(response.body).not.toContain('never shown');
  });

  it('is looked for to the end where families can not be asked: an emergency that begins is not cut short', async () => {
    let ended = false;
    const services = {
      ...fakeServices(),
      reportLeak: async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        ended = true;
        return [];
      },
      reportFamilyLeak: async () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'no answer')),
    };
    const headers = { 'idempotency-key': ROTATION_ID };
    const { response } = await answer(eventOf('POST', '/v1/leaks', { body, headers }), services);
    expect([response.statusCode, ended]).toEqual([503, true]);
  });

  it('is answered with the token families of which it is a token, whose word counts as much', async () => {
    const token = {
      familyId: FAMILY.id,
      fingerprint: fingerprints[0] ?? '',
      kind: 'refresh',
      versionId: ID,
      at: '2026-11-22T11:30:00.000Z',
    } as const;
    const leak = { token, family: FAMILY, outcome: 'live', revocation: 'pending' } as const;
    const { response, services } = await asking([], {}, [leak]);
    expect(services.reportFamilyLeak).toHaveBeenCalledWith(services.reportLeak.mock.calls[0]?.[0]);
    // The emergency of a family has no execution to follow.
    expect(response.statusCode).toBe(200);
    expect(bodyOf(response)).toEqual({
      outcome: 'live',
      dryRun: false,
      matches: [],
      families: [
        {
          family: 'crm',
          familyId: FAMILY.id,
          token: 'refresh',
          fingerprint: token.fingerprint,
          givenAt: token.at,
          outcome: 'live',
          holders: ['tool-agents'],
          revocation: 'pending',
        },
      ],
    });
    const both = await asking([{ key, credential: credentialOf(), outcome: 'live' }], {}, [
      { token, outcome: 'not-confirmed', why: 'its family is no longer registered' },
    ]);
    expect(bodyOf(both.response)).toMatchObject({ outcome: 'not-confirmed', emergency: ROTATION_ID });
  });

  it('starts nothing in a dry run, and nothing where it is nobody’s', async () => {
    const dry = await asking([{ key, credential: credentialOf(), outcome: 'live' }], { dryRun: true });
    expect([dry.response.statusCode, bodyOf(dry.response)['emergency']]).toEqual([200, undefined]);
    const none = await asking([]);
    expect(bodyOf(none.response)).toEqual({ outcome: 'not-ours', dryRun: false, matches: [] });
  });

  it('tells what to type only where Rekey may not: by hand, a later generation in the slot would die', async () => {
    const credential = credentialOf({ byHand: 'ALTER ROLE …' });
    const { response } = await asking([
      { key, credential, outcome: 'observed' },
      { key, credential, outcome: 'not-confirmed', why: 'no answer' },
    ]);
    const { outcome, matches } = bodyOf(response);
    expect(outcome).toBe('not-confirmed');
    expect(matches).toMatchObject([{ byHand: 'ALTER ROLE …' }, { why: 'no answer' }]);
    expect(JSON.stringify(matches).match(/byHand/g)).toHaveLength(1);
  });

  it.each([
    ['fingerprints', { fingerprints: [] }],
    ['fingerprints[0]', { fingerprints: ['the value itself'] }],
    ['fingerprints', { fingerprints: Array.from({ length: 51 }, () => fingerprints[0]) }],
    ['incident', { incident: 'has spaces in it' }],
    ['reason', { reason: '' }],
  ])('without a proper %s is refused, and not said again', async (field, bad) => {
    const { response, services } = await asking([], bad);
    expect([response.statusCode, bodyOf(response)['field']]).toEqual([400, field]);
    expect(response.body).not.toContain('the value itself');
    expect(services.reportLeak).not.toHaveBeenCalled();
  });
});

describe('an emergency of a selection', () => {
  const request = { incident: 'INC-7', reason: 'prompt injection' };
  const other = '6f1d4f0e-3a52-4c43-9b3e-0f6f7f6f0a02';
  const sources = () => {
    const ledger = new FakeLedger().add(credentialOf()).add(
      credentialOf({
        id: other,
        name: 'models',
        type: 'llm-key',
        provider: 'openai',
        secretName: 'agents/models',
        holders: [{ kind: 'client', name: 'order-agents', principal: 'arn:role/x' }],
      }),
    );
    return fakeServices(ledger);
  };
  const post = (services: ControlServices, body: object) =>
    answer(eventOf('POST', '/v1/emergencies', { body: { ...request, ...body } }), services);

  it('names its token families with id, server and what they open, the most dangerous first', async () => {
    const services = sources();
    const held = (kind: 'client', name: string) => ({ kind, name, principal: `arn:aws:iam::1:role/${name}` });
    const terms = { ...TERMS, holders: [held('client', 'order-agents')] };
    const tokens = {
      versionId: 'v',
      fingerprint: 'sha256:f',
      refreshable: true,
      consentedAt: '2026-11-01T00:00:00.000Z',
      rotatedAt: '2026-11-01T00:00:00.000Z',
      refreshedAt: '2026-11-01T00:00:00.000Z',
      expiresAt: '2026-12-01T00:00:00.000Z',
    };
    const draft = {
      action: 'registered',
      time: tokens.consentedAt,
      trigger: { kind: 'operator', actor: 'o' },
    } as const;
    for (const family of [
      freshFamily({ id: 'f-1', name: 'access-only', terms, tokens: { ...tokens, refreshable: false } }),
      freshFamily({ id: 'f-2', name: 'refreshed', terms, tokens }),
      freshFamily({ id: 'f-3', name: 'elsewhere', terms: { ...terms, holders: [] }, tokens }),
    ])
      await services.families.create(family, draft);
    const { response } = await post(services, { select: { agent: 'order-agents' }, dryRun: true });
    expect(bodyOf(response)).toMatchObject({
      families: ['refreshed', 'access-only'],
      familyDetails: [
        {
          id: 'f-2',
          name: 'refreshed',
          provider: TERMS.server.issuer,
          opens: expect.arrayContaining([{ name: 'scopes', value: TERMS.scopes.join(' ') }]),
          holders: ['order-agents'],
        },
        { id: 'f-1', name: 'access-only' },
      ],
    });
  });

  it('starts for all of it with its types, the most dangerous first', async () => {
    const services = sources();
    const { response } = await post(services, { select: { agent: 'order-agents' } });
    expect([response.statusCode, bodyOf(response)]).toEqual([
      202,
      {
        id: 'emergency-1',
        credentials: [other, ID],
        unresolved: [],
        beside: { later: [], families: [], familyDetails: [], unknown: [] },
      },
    ]);
    expect(services.asked).toMatchObject([
      {
        input: {
          credentials: [
            { credentialId: other, type: 'llm-key' },
            { credentialId: ID, type: 'database' },
          ],
        },
      },
    ]);
  });

  it('is shown by a dry run, with why each is among them and what is not known, and starts nothing', async () => {
    const services = sources();
    const select = { agent: 'order-agents', closure: true };
    const { response } = await post(services, { select, dryRun: true });
    expect(response.statusCode).toBe(200);
    expect(bodyOf(response)).toMatchObject({
      dryRun: true,
      selected: [
        { credential: { name: 'models' }, why: ['order-agents is declared as a holder'] },
        { credential: { name: 'orders-db' }, why: ['order-agents is declared as a holder'] },
      ],
    });
    expect(JSON.stringify(bodyOf(response)['unknown'])).toContain('order-agents has no pact');
    expect(services.asked).toEqual([]);
  });

  it.each<[string, object, number, string]>([
    ['nothing', { select: { fleet: 'none' } }, 404, 'select'],
    ['a misspelt one', { select: { agnet: 'a' } }, 400, 'select'],
    ['two', { select: { fleet: 'a', provider: 'b' } }, 400, 'select'],
    ['names beside it', { select: { everything: true }, credentials: ['a'] }, 400, 'credentials'],
    ['neither', {}, 400, 'credentials'],
    ['a page of none', { select: { everything: true }, after: 'id-1' }, 400, 'after'],
    ['a dry run of names', { credentials: ['orders-db'], dryRun: true }, 400, 'dryRun'],
  ])('of %s is refused', async (_what, body, status, field) => {
    const services = sources();
    const { response } = await post(services, body);
    expect([response.statusCode, bodyOf(response)['field'], services.asked]).toEqual([status, field, []]);
  });

  it('starts for all of it, however many that are, and is shown a thousand at a time', async () => {
    const ledger = new FakeLedger();
    for (let n = 0; n < 2001; n++) ledger.add(credentialOf({ id: `id-${n}`, name: `n-${n}` }));
    const services = fakeServices(ledger);
    const select = { everything: true };
    const { response } = await post(services, { select });
    expect([response.statusCode, (bodyOf(response)['credentials'] as string[]).length]).toEqual([202, 2001]);

    const seen = new Set<string>();
    const sizes: number[] = [];
    let after: object = {};
    for (let page = 1; page <= 3; page++) {
      const shown = bodyOf((await post(services, { select, dryRun: true, ...after })).response);
      const { selected, total, next } = shown as unknown as SelectionAnswer;
      for (const { credential } of selected) seen.add(credential.id);
      sizes.push(selected.length);
      expect([total, next === undefined]).toEqual([2001, page === 3]);
      after = { after: next };
    }
    expect([seen.size, sizes]).toEqual([2001, [1000, 1000, 1]]);
    expect(services.asked).toHaveLength(1);
  });

  it('is shown anew where it has changed between two pages', async () => {
    const services = sources();
    const { response } = await post(services, { select: { everything: true }, dryRun: true, after: 'gone' });
    expect([response.statusCode, bodyOf(response)['code'], bodyOf(response)['field']]).toEqual([
      409,
      'ERR_CONFLICT',
      'after',
    ]);
  });

  it('goes by every page of what the ledger has', async () => {
    const services = sources();
    const pages = [credentialOf({ id: 'id-1', name: 'one' }), credentialOf({ id: 'id-2', name: 'two' })];
    vi.spyOn(services.ledger, 'list').mockImplementation(async (page = '0') => {
      const at = Number(page);
      const next = at + 1 < pages.length ? { next: String(at + 1) } : {};
      return Promise.resolve({ items: pages.slice(at, at + 1), ...next });
    });
    const { chosen } = await selectForEmergency(services, { everything: true });
    expect(chosen.map(({ credential }) => credential.name)).toEqual(['one', 'two']);
  });

  it('names the ids as the way where the ledger does not answer', async () => {
    const services = sources();
    services.ledger.state = 'failing';
    await expect(selectForEmergency(services, { everything: true }, 50)).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
      remedy: expect.stringContaining('by their ids') as string,
    });
  });
});

describe('an emergency', () => {
  const body = { credentials: ['orders-db'], incident: 'INC-7', reason: 'key in a public repository' };

  it('starts for names and ids, each credential once', async () => {
    const services = fakeServices(ledgerWithRotation());
    const { response } = await answer(
      eventOf('POST', '/v1/emergencies', {
        body: { ...body, credentials: ['orders-db', ID, 'orders-db'] },
        headers: { 'idempotency-key': ROTATION_ID },
      }),
      services,
    );
    expect(response.statusCode).toBe(202);
    expect(bodyOf(response)).toEqual({ id: 'emergency-1', credentials: [ID], unresolved: [] });
    expect(services.asked).toEqual([
      {
        method: 'startEmergency',
        input: {
          credentials: [{ credentialId: ID, type: 'database' }],
          incidentId: 'INC-7',
          reason: body.reason,
          actor: CALLER,
          replace: true,
          token: ROTATION_ID,
        },
      },
    ]);
  });

  it('names every unknown credential in one error and starts nothing', async () => {
    const services = fakeServices(ledgerWithRotation());
    const { response } = await answer(
      eventOf('POST', '/v1/emergencies', {
        body: { ...body, credentials: ['orders-db', 'typo-a', 'typo-b'] },
      }),
      services,
    );
    expect(response.statusCode).toBe(404);
    expect(bodyOf(response)['detail']).toContain('typo-a, typo-b');
    expect(services.asked).toEqual([]);
  });

  describe('of what Rekey has let go of', () => {
    const target = { host: 'db.internal', port: 5432, database: 'orders', ownerRole: 'orders' };
    const gone = credentialOf({ status: 'unregistered', target, targetIdentity: 'orders at db.internal' });
    const asking = (ledger: FakeLedger, credentials: readonly string[]) => {
      const services = fakeServices(ledger);
      return {
        services,
        asked: answer(eventOf('POST', '/v1/emergencies', { body: { ...body, credentials } }), services),
      };
    };

    /** What is let go of, and who has its owner role now. */
    const inherited = (former: Credential, heir: Credential): FakeLedger => {
      const ledger = new FakeLedger().add(former).add(heir);
      ledger.idByName = async () => undefined;
      ledger.idByTarget = async () => heir.id;
      return ledger;
    };

    it('starts nothing while that is not complete, and says what to type and how to complete it', async () => {
      const { services, asked } = asking(new FakeLedger().add(gone), ['orders-db', ID]);
      const { response } = await asked;
      expect(response.statusCode).toBe(409);
      const { code, field, detail, remedy } = bodyOf(response);
      expect([code, field]).toEqual(['ERR_MODE', 'credentials']);
      expect(detail).toMatch(/orders-db is being let go of.*doesn't manage.*Nothing was revoked/);
      expect(remedy).toMatch(
        /by hand, now:[\s\S]*ALTER ROLE "orders_a" NOLOGIN[\s\S]*rekey unregister orders-db/,
      );
      expect(services.asked).toEqual([]);
    });

    it('by its id also once it is complete, beside the names that nobody knows', async () => {
      const ledger = new FakeLedger().add(gone);
      ledger.idByName = async () => undefined;
      const { services, asked } = asking(ledger, [ID, 'typo-a']);
      const { detail, remedy, also } = bodyOf((await asked).response);
      expect(detail).toContain(`orders-db (${ID}) was unregistered`);
      expect(remedy).toMatch(/ALTER ROLE "orders_a" NOLOGIN/);
      expect(remedy).not.toContain('rekey unregister');
      expect(also).toMatchObject([{ code: 'ERR_NOT_FOUND', message: expect.stringContaining('typo-a') }]);
      expect(services.asked).toEqual([]);
    });

    it('revokes the others where it was shown before, and its own part says what a person does', async () => {
      const ledger = new FakeLedger().add(gone).add(credentialOf({ id: 'other', name: 'models' }));
      const services = fakeServices(ledger);
      const shown = { ...body, credentials: [ID, 'other'], shown: true };
      const { response } = await answer(eventOf('POST', '/v1/emergencies', { body: shown }), services);
      expect([response.statusCode, bodyOf(response)['credentials']]).toEqual([202, ['other', ID]]);
    });

    it('tells of whoever has its logins by now, instead of what would end them unseen', async () => {
      const heir = credentialOf({ id: 'heir', name: 'new-orders-db', target });
      const { remedy } = bodyOf((await asking(inherited(gone, heir), [ID]).asked).response);
      expect(remedy).toContain('rekey revoke new-orders-db');
      expect(remedy).not.toContain('ALTER ROLE');
    });

    it('tells of both where somebody has one of its logins by now', async () => {
      const heir = credentialOf({
        id: 'heir',
        name: 'new-orders-db',
        target: { ...target, users: ['orders_a', 'orders_x'] },
      });
      const live = ['orders_a', 'orders_b'].map((id) => ({ id, generation: 1 }));
      const { remedy } = bodyOf((await asking(inherited({ ...gone, live }, heir), [ID]).asked).response);
      expect(remedy).toMatch(/ALTER ROLE "orders_b" NOLOGIN[\s\S]*other logins.*rekey revoke new-orders-db/);
      expect(remedy).not.toContain('ALTER ROLE "orders_a"');
    });

    it('tells what to type where whoever has its logins is only observed, which Rekey does not revoke', async () => {
      const heir = credentialOf({ id: 'heir', name: 'new-orders-db', target, adoption: 'observed' });
      const { remedy } = bodyOf((await asking(inherited(gone, heir), [ID]).asked).response);
      expect(remedy).toMatch(/ALTER ROLE "orders_a" NOLOGIN/);
      expect(remedy).not.toContain('new-orders-db');
    });

    it.each([
      ['falls silent', () => new Promise<never>(() => {})],
      ['fails', () => Promise.reject(new Error('ECONNRESET'))],
    ])('takes a name that was found at its word where the ledger %s then', async (_what, unregistered) => {
      const ledger = Object.assign(new FakeLedger().add(credentialOf()), { unregistered });
      expect(await resolveForEmergency(ledger, ['orders-db'], { limitMs: 20 })).toEqual({
        credentials: [{ credentialId: ID, type: 'database' }],
        unresolved: [],
      });
    });

    it('asks nothing more of one that its id has found', async () => {
      const ledger = new FakeLedger().add(credentialOf());
      const more = [vi.spyOn(ledger, 'unregistered'), vi.spyOn(ledger, 'idByName')];
      expect(await resolveForEmergency(ledger, [ID])).toEqual({
        credentials: [{ credentialId: ID, type: 'database' }],
        unresolved: [],
      });
      for (const read of more) expect(read).not.toHaveBeenCalled();
    });
  });

  it.each(['silent', 'failing'] as const)('starts with ids while the ledger is %s', async (state) => {
    const ledger = ledgerWithRotation();
    ledger.state = state;
    const services = fakeServices(ledger);
    const began = performance.now();
    const { response } = await answer(
      eventOf('POST', '/v1/emergencies', { body: { ...body, credentials: [ID, 'orders-db'] } }),
      services,
    );
    expect(performance.now() - began).toBeLessThan(1500);
    expect(response.statusCode).toBe(202);
    expect(bodyOf(response)).toMatchObject({ credentials: [ID], unresolved: ['orders-db'] });
    expect(services.asked).toHaveLength(1);
  });

  it('goes to the functions of each type while the ledger is silent, with as many snapshots as there are ids', async () => {
    const ids = Array.from(
      { length: 1000 },
      (_, n) => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`,
    );
    const ledger = new FakeLedger();
    ledger.state = 'silent';
    const services = fakeServices(ledger);
    let reading = 0;
    // S3 over as many sockets as a function has.
    services.diagnosis.snapshot = async (id) => {
      reading++;
      await new Promise((resolve) => setTimeout(resolve, reading > 60 ? 5000 : 20));
      reading--;
      return { value: credentialOf({ id, type: id < '00000500' ? 'llm-key' : 'database' }) };
    };
    await answer(eventOf('POST', '/v1/emergencies', { body: { ...body, credentials: ids } }), services);
    const [{ input } = { input: undefined }] = services.asked;
    const types = (input as { credentials: { type?: string }[] }).credentials.map(({ type }) => type);
    expect(Map.groupBy(types, (type) => type).get(undefined) ?? []).toEqual([]);
    expect(types.filter((type) => type === 'llm-key')).toHaveLength(500);
  });

  it('waits no longer for snapshots where S3 is silent as well', async () => {
    const services = fakeServices(Object.assign(new FakeLedger(), { state: 'silent' }));
    services.diagnosis.snapshot = () => new Promise(() => {});
    const ids = Array.from(
      { length: 1000 },
      (_, n) => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`,
    );
    const began = performance.now();
    const { response } = await answer(
      eventOf('POST', '/v1/emergencies', { body: { ...body, credentials: ids } }),
      services,
    );
    expect(response.statusCode).toBe(202);
    expect(performance.now() - began).toBeLessThan(4000);
  });

  it('says that it needs ids where the ledger does not answer and only names were given', async () => {
    const ledger = ledgerWithRotation();
    ledger.state = 'silent';
    await expect(resolveForEmergency(ledger, ['orders-db'], { limitMs: 20 })).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
      remedy: expect.stringContaining('ids'),
    });
  });

  it('takes as long as the ledger goes on answering', async () => {
    const names = Array.from({ length: 200 }, (_, index) => `db-${index}`);
    const ledger = new FakeLedger();
    let atOnce = 0;
    let most = 0;
    let reads = 0;
    ledger.idByName = async (name) => {
      reads++;
      most = Math.max(most, ++atOnce);
      await new Promise((resolve) => setTimeout(resolve, 15));
      atOnce--;
      return `id-of-${name}`;
    };
    ledger.credential = async () => {
      reads++;
      return undefined;
    };
    const { credentials, unresolved } = await resolveForEmergency(ledger, names, { limitMs: 60 });
    expect(unresolved).toEqual([]);
    expect(credentials).toEqual(names.map((name) => ({ credentialId: `id-of-${name}` })));
    expect(reads).toBe(400);
    expect(most).toBeLessThanOrEqual(20);
  });

  it.each([
    ['credentials', { ...body, credentials: [] }],
    ['credentials', { ...body, credentials: Array.from({ length: 1001 }, () => ID) }],
    ['incident', { ...body, incident: 'has spaces in it' }],
    ['reason', { credentials: ['a'], incident: 'INC-7' }],
  ])('without a proper %s is refused', async (field, bad) => {
    const services = fakeServices(ledgerWithRotation());
    const { response } = await answer(eventOf('POST', '/v1/emergencies', { body: bad }), services);
    expect(response.statusCode).toBe(400);
    expect(bodyOf(response)['field']).toBe(field);
    expect(services.asked).toEqual([]);
  });

  it('shows how it stands', async () => {
    const services = fakeServices(undefined, {
      emergency: {
        status: 'SUCCEEDED',
        startedAt: 'a',
        endedAt: 'b',
        results: [{ credentialId: ID, revoked: true }],
      },
    });
    const { response } = await answer(eventOf('GET', '/v1/emergencies/emergency-1'), services);
    expect(bodyOf(response)).toEqual({
      id: 'emergency-1',
      status: 'SUCCEEDED',
      startedAt: 'a',
      endedAt: 'b',
      results: [{ credentialId: ID, revoked: true }],
    });
  });
});
