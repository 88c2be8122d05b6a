import { describe } from 'vitest';
import { chromaCloudCase } from '../../contract/cases/pools.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';

describe('Chroma Cloud', () => {
  describeProvider('Chroma Cloud', keyHarness(chromaCloudCase()));
  describeKeyFaults('Chroma Cloud', chromaCloudCase());
});
