import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

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
  integration: {
    include: ['test/integration/**/*.int.test.ts'],
    testTimeout: 180_000,
    maxWorkers: 2,
    sequence: { groupOrder: 1 },
  },
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

/** What takes minutes by itself. */
const LONG = ['e2e/keys.e2e', 'faults/emergency', 'faults/clients', 'faults/pause'].map(
  (name) => `/test/${name}.test.ts`,
);

/** In each project what takes longest begins first: a fresh clone knows of no durations, and goes by the size of files. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isShort = ({ moduleId }: TestSpecification): number =>
      Number(!LONG.some((end) => moduleId.endsWith(end)));
    const ofProjects = Map.groupBy(await super.sort(files), ({ project }) => project.name);
    return [...ofProjects.values()].flatMap((same) => same.toSorted((a, b) => isShort(a) - isShort(b)));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
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
