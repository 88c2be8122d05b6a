import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planView } from '../../../shared/api/views.ts';
import { credentialOf, NOW } from '../api/fakes.ts';
import { rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

const { current } = credentialOf();
const issued = (name: string, issuedAt: string, changes: Parameters<typeof credentialOf>[0] = {}) => {
  if (current === undefined) throw new Error('it has a current version');
  return planView(credentialOf({ name, current: { ...current, issuedAt }, ...changes }), NOW);
};

const entries = {
  soon: issued('soon', '2026-10-27T00:00:00.000Z'),
  later: issued('later', '2026-11-20T00:00:00.000Z'),
  observed: issued('observed', '2026-11-01T00:00:00.000Z', { mode: 'observe' }),
  missed: issued('missed', '2026-10-01T00:00:00.000Z', {
    plan: { of: current?.versionId ?? '', attempts: 0, rolledBack: true },
  }),
};

function serve(): void {
  api.routes['GET /v1/plan'] = ({ query }) =>
    query['page'] === undefined
      ? { body: { plan: [entries.observed, entries.later], next: 'page-2' } }
      : { body: { plan: [entries.missed, entries.soon] } };
}

describe('rekey plan', () => {
  it('joins the pages, sorts by start, and puts last what is not planned, with the reason', async () => {
    serve();
    const { exit, stdout } = await rekey(api, ['plan']);
    expect(exit).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^CREDENTIAL +STARTS +DEADLINE +WHY +FINDINGS/);
    expect(lines.slice(1).map((line) => line.split(' ')[0])).toEqual(['soon', 'later', 'missed', 'observed']);
    expect(lines[1]).toMatch(
      /2026-11-24 00:00:00 UTC \(in 36 h\) +2026-11-26 00:00:00 UTC +every 30 days: computed/,
    );
    expect(lines[3]).toMatch(/not planned: its rotation was rolled back.* its deadline has passed/);
    expect(lines[4]).toContain('not planned: mode observe');
  });

  it('with --within shows what starts by then, or is due by then without a plan, and counts the rest', async () => {
    serve();
    const { stdout, stderr } = await rekey(api, ['plan', '--within', '7d']);
    expect(stdout).toMatch(/^soon/m);
    expect(stdout).toMatch(/^missed/m);
    expect(stdout).not.toMatch(/^(later|observed)/m);
    expect(stderr).toContain('2 more with nothing to come within 7d');
  });

  it('prints the same as JSON', async () => {
    serve();
    const { stdout } = await rekey(api, ['plan', '--within', '7d', '--json']);
    expect(JSON.parse(stdout)).toEqual({ plan: [entries.soon, entries.missed] });
  });

  it('refuses a span that is none as wrong usage, and asks nobody', async () => {
    const { exit, stderr } = await rekey(api, ['plan', '--within', 'soon']);
    expect([exit, api.seen]).toEqual([2, []]);
    expect(stderr).toContain('--within');
  });
});
