import { defineConfig } from 'vitest/config';

/** A file at a time, after the projects of a lower group. */
const oneByOne = (group: number): object => ({ fileParallelism: false, sequence: { groupOrder: group } });

const FLEET = 'test/e2e/agents.e2e.test.ts';

/** On two cores: what mostly waits runs three files at a time, whole stacks two. */
export const PROJECTS = {
  unit: {
    include: ['test/unit/**/*.test.ts', 'test/infra/**/*.test.ts'],
    testTimeout: 60_000,
    maxWorkers: 3,
  },
  integration: { include: ['test/integration/**/*.int.test.ts'], testTimeout: 180_000, ...oneByOne(1) },
  faults: {
    include: ['test/faults/**/*.test.ts'],
    testTimeout: 300_000,
    maxWorkers: 2,
    sequence: { groupOrder: 2 },
  },
  e2e: {
    include: ['test/e2e/**/*.e2e.test.ts'],
    exclude: [FLEET],
    testTimeout: 900_000,
    maxWorkers: 2,
    sequence: { groupOrder: 3 },
  },
  // Some thirty agents and their database take two cores: beside another stack their API would answer none in time.
  fleet: { include: [FLEET], testTimeout: 900_000, ...oneByOne(4) },
  // Reads what the end-to-end tests have recorded.
  iam: { include: ['test/iam/**/*.test.ts'], testTimeout: 120_000, ...oneByOne(5) },
};

export default defineConfig({
  test: {
    projects: Object.entries(PROJECTS).map(([name, project]) => ({
      test: {
        name,
        ...project,
        hookTimeout: project.testTimeout,
        // Every synthesis bundles the same functions.
        env: { REKEY_STORED_BUNDLES: '1' },
      },
    })),
  },
});
