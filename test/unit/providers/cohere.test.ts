import { describe } from 'vitest';
import { cohereCase } from '../../contract/cases/pools.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';

describe('Cohere', () => {
  describeProvider('Cohere', keyHarness(cohereCase()));
  describeKeyFaults('Cohere', cohereCase());
});
