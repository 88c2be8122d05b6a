import { afterAll, beforeAll, describe } from 'vitest';
import { privateCaCase } from '../../contract/cases/private-ca.ts';
import { describeIdentityFaults } from '../../contract/describe-identity-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { identityHarness } from '../../contract/identity-harness.ts';
import { FakePrivateCa } from '../../fakes/private-ca.ts';

describe('authorities of AWS Private CA', () => {
  let fake: FakePrivateCa;
  beforeAll(async () => {
    fake = await FakePrivateCa.start();
  });
  afterAll(async () => fake[Symbol.asyncDispose]());
  const its = privateCaCase(() => fake);

  describeProvider('AWS Private CA', identityHarness(its));
  describeIdentityFaults('AWS Private CA', its);
});
