import { describe } from 'vitest';
import { clientSecretCase } from '../../contract/cases/pools.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';

describe('shared secrets of OAuth clients', () => {
  describeProvider('A client secret', keyHarness(clientSecretCase()));
  describeKeyFaults('A client secret', clientSecretCase());
});
