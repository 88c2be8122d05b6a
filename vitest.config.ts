import { defineConfig } from 'vitest/config';

const oneByOne = { fileParallelism: false };

/** Fast projects run in parallel; those that start servers or whole stacks run a file at a time on two cores. */
export const PROJECTS = {
  unit: { include: ['test/unit/**/*.test.ts', 'test/infra/**/*.test.ts'], testTimeout: 60_000 },
  integration: { include: ['test/integration/**/*.int.test.ts'], testTimeout: 180_000, ...oneByOne },
  faults: { include: ['test/faults/**/*.test.ts'], testTimeout: 300_000, ...oneByOne },
  e2e: { include: ['test/e2e/**/*.e2e.test.ts'], testTimeout: 900_000, ...oneByOne },
};

export default defineConfig({
  test: {
    projects: Object.entries(PROJECTS).map(([name, project]) => ({
      test: { name, ...project, hookTimeout: project.testTimeout },
    })),
  },
});
