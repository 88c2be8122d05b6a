import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialView } from '../../../shared/api/views.ts';
import { credentialOf, ID } from '../api/fakes.ts';
import { rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
const OTHER = '6f1d4f0e-3a52-4c43-9b3e-0f6f7f6f0a02';
const incident = ['--incident', 'INC-7', '--reason', 'prompt injection'];
const beside = {
  later: ['openai-admin'],
  families: ['crm'],
  familyDetails: [
    {
      id: 'f-1',
      name: 'crm',
      provider: 'https://idp.example',
      opens: [
        { name: 'client', value: 'rekey' },
        { name: 'scopes', value: 'tools:read' },
      ],
      holders: ['tool-agents'],
    },
  ],
  unknown: ['a has no pact: whether it hands anything on is not known'],
};
const view = (changes: Parameters<typeof credentialOf>[0]) =>
  credentialView(credentialOf(changes), undefined, 0);
const dry = {
  body: {
    dryRun: true,
    selected: [
      {
        credential: view({ id: OTHER, name: 'models', type: 'llm-key', provider: 'cohere' }),
        why: ['a hands it to b'],
      },
      { credential: view({}), why: ['a is declared as a holder', 'the pact of a names it'] },
    ],
    ...beside,
  },
};
const started = { status: 202, body: { id: 'e-1', credentials: [OTHER, ID], unresolved: [], beside } };

beforeEach(async () => {
  api = await startStandIn();
});
afterEach(async () => {
  await api.close();
});

describe('rekey revoke of a selection', () => {
  it('shows with --dry-run what it would revoke, why, what each does and what stays', async () => {
    api.routes['POST /v1/emergencies'] = dry;
    const ran = await rekey(api, ['revoke', '--agent', 'a', '--closure', ...incident, '--dry-run']);
    expect(ran.exit).toBe(0);
    expect(ran.stdout).toMatch(
      /models  llm-key\/cohere  held by order-agents  BY HAND[\s\S]*because a hands it to b/,
    );
    expect(ran.stdout).toMatch(
      /orders-db  database[\s\S]*because a is declared as a holder; the pact of a names it/,
    );
    expect(ran.stdout).toMatch(/What happens to 1 \(manual\)[\s\S]*lets only a person end a key/);
    expect(ran.stdout).toContain('rekey revoke openai-admin --incident INC-7');
    expect(ran.stdout).toContain('rekey revoke crm --incident INC-7');
    expect(ran.stdout).toContain('crm  token-family/https://idp.example  id f-1  held by tool-agents');
    expect(ran.stdout).toContain('opens client rekey; scopes tools:read');
    expect(ran.stdout).toMatch(/not known: a has no pact[\s\S]*Nothing was changed/);
    expect(api.seen.map(({ body }) => body)).toEqual([
      {
        select: { agent: 'a', closure: true },
        incident: 'INC-7',
        reason: 'prompt injection',
        replace: true,
        dryRun: true,
      },
    ]);
  });

  it.each([
    [['--agent', 'a'], { agent: 'a' }],
    [['--fleet', 'shop'], { fleet: 'shop' }],
    [['--provider', 'openai'], { provider: 'openai' }],
    [['--everything'], { everything: true }],
  ])('revokes %j with its very first request where --yes is given', async (flags, select) => {
    api.routes['POST /v1/emergencies'] = started;
    const { exit, stdout } = await rekey(api, ['revoke', ...flags, ...incident, '--yes', '--no-replace']);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('NOT revoked: token families')]);
    expect(api.seen.map(({ body }) => body)).toEqual([
      { select, incident: 'INC-7', reason: 'prompt injection', replace: false },
    ]);
  });

  it('asks on a terminal, and revokes what was shown', async () => {
    api.routes['POST /v1/emergencies'] = [dry, dry, started];
    const args = ['revoke', '--fleet', 'shop', ...incident];
    const no = await rekey(api, args, { tty: true, answer: 'no' });
    expect([no.exit, api.seen.length]).toEqual([1, 1]);
    const yes = await rekey(api, args, { tty: true, answer: 'yes' });
    expect(yes.exit).toBe(0);
    expect(api.seen.at(-1)?.body).toMatchObject({ credentials: [OTHER, ID], incident: 'INC-7' });
    expect(api.seen.at(-1)?.body).not.toHaveProperty('select');
  });

  it('shows and revokes what is more than one request takes, each once, although a part is refused', async () => {
    const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
    const page = (from: number, to: number, more: object) => ({
      body: {
        dryRun: true,
        selected: Array.from({ length: to - from }, (_, n) => ({
          credential: view({ id: id(from + n), name: `n-${from + n}` }),
          why: ['everything'],
        })),
        total: 1500,
        later: [],
        families: [],
        unknown: [],
        ...more,
      },
    });
    const refused = { status: 409, body: { code: 'ERR_CONFLICT', detail: 'not this' } };
    const second = { status: 202, body: { id: 'e-2', credentials: [id(1000)], unresolved: [] } };
    api.routes['POST /v1/emergencies'] = [
      page(0, 1000, { next: id(999) }),
      page(1000, 1500, {}),
      refused,
      second,
    ];
    const args = ['revoke', '--everything', ...incident];
    const { exit, stdout, stderr } = await rekey(api, args, { tty: true, answer: 'yes' });
    expect([exit === 0, stderr]).toEqual([
      false,
      expect.stringMatching(/1 to 1000 of 1500: the API answered 409/),
    ]);
    const bodies = api.seen.map(({ body }) => body as { after?: string; credentials?: string[] });
    expect(bodies.map(({ after }) => after)).toEqual([undefined, id(999), undefined, undefined]);
    expect(bodies.flatMap(({ credentials = [] }) => credentials)).toEqual(
      Array.from({ length: 1500 }, (_, n) => id(n)),
    );
    expect(stdout).toContain('emergency e-2');
  });

  it.each([
    [['--agent', 'a'], '--yes'],
    [['--closure', '--yes'], '--agent'],
    [['--agent', 'a', '--everything', '--yes'], 'give one of'],
    [['orders-db', '--everything', '--yes'], 'name none'],
  ])('%j is refused before anything is asked', async (flags, said) => {
    const { exit, stderr } = await rekey(api, ['revoke', ...flags, ...incident]);
    expect([exit, stderr, api.seen]).toEqual([2, expect.stringContaining(said), []]);
  });
});
