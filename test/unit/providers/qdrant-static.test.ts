import { describe } from 'vitest';
import { qdrantStaticCase } from '../../contract/cases/qdrant-static.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';

describe('Qdrant by static keys', () => {
  describeProvider('Qdrant by static keys', keyHarness(qdrantStaticCase()));
  describeKeyFaults('Qdrant by static keys', qdrantStaticCase());
});
