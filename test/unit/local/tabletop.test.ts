import { expect, test } from 'vitest';
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
