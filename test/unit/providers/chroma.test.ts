import { describe } from 'vitest';
import { chromaCase } from '../../contract/cases/chroma.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';

describe('Chroma behind a proxy', () => {
  describeProvider('Chroma behind a proxy', keyHarness(chromaCase()));
  describeKeyFaults('Chroma behind a proxy', chromaCase());
});
