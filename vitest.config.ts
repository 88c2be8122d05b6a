import { defineConfig } from 'vitest/config';

const project = (name: string, include: string[], timeout: number, extra: object = {}) => ({
  test: { name, include, testTimeout: timeout, hookTimeout: timeout, ...extra },
});

/** Fast projects run in parallel; those that start servers or whole stacks run a file at a time on two cores. */
export default defineConfig({
  test: {
    projects: [
      project('unit', ['test/unit/**/*.test.ts', 'test/infra/**/*.test.ts'], 60_000),
      project('integration', ['test/integration/**/*.int.test.ts'], 180_000, { fileParallelism: false }),
      project('faults', ['test/faults/**/*.test.ts'], 300_000, { fileParallelism: false }),
      project('e2e', ['test/e2e/**/*.e2e.test.ts'], 900_000, { fileParallelism: false }),
    ],
  },
});
