import { expect, test } from 'vitest';
import { signalSettings } from '../../../infra/signal-settings.ts';
import { aboutCaps, CAPS, USUAL_AGENTS } from '../../../local/tabletop/caps.ts';
import { shortfalls, type Outcome } from '../../../local/tabletop/outcome.ts';

const GOOD: Outcome = {
  secondsToRevoke: 4,
  approvalsBefore: 0,
  agentsRecovered: true,
  heldUntilApproved: true,
  heldRevoked: true,
  unreadable: 0,
  reported: 3,
  closed: 3,
  strangers: ['ci-build'],
  gaps: 4,
  chainFaults: 0,
};

test('an exercise that went as it should lacks nothing', () => {
  expect(shortfalls(GOOD, 3)).toEqual([]);
});

test.each<Partial<Outcome>>([
  { secondsToRevoke: 31 },
  { approvalsBefore: 1 },
  { agentsRecovered: false },
  { heldUntilApproved: false },
  { heldRevoked: false },
  { unreadable: 1 },
  { reported: 2 },
  { closed: 2 },
  { strangers: [] },
  { gaps: 0 },
  { chainFaults: 1 },
])('an exercise with %j lacks that one thing', (change) => {
  expect(shortfalls({ ...GOOD, ...change }, 3)).toHaveLength(1);
});

test('an exercise says which caps it has changed, and what would be of the leaked key without that', () => {
  expect(signalSettings.parse({})).toMatchObject({ maxAgents: USUAL_AGENTS, maxCredentials: 3 });
  expect(CAPS.maxAgents).toBeGreaterThan(340);
  expect(aboutCaps(340, { type: 'llm-key', provider: 'openai' })).toEqual([
    'the cap signals.maxAgents is raised here from 50 to 400: this source may halt the 340 without asking',
    "at the default this would be held for two people, and the leaked key would WORK until they approve: openai can't suspend one",
    'the cap signals.maxCredentials is 1 here, 3 by default, so that there is something to decide',
  ]);
  expect(aboutCaps(340, { type: 'llm-key', provider: 'anthropic' })[1]).toContain(
    'suspended until they have decided',
  );
});
