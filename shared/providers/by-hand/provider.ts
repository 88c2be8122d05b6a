import * as z from 'zod';
import { CAPABILITIES } from '../../domain/capabilities.ts';
import { RekeyError, throwAll } from '../../domain/errors.ts';
import { fingerprint } from '../../domain/fingerprint.ts';
import { declarationErrors } from '../../domain/mistakes.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { isPoolAlone, rootSecretOf } from '../../domain/root-secret.ts';
import { ROOT_UPSTREAMS, type RootUpstream } from '../../domain/root-steps.ts';
import { inWords } from '../../domain/wording.ts';
import type { CredentialProvider } from '../provider.ts';

const FACTS = CAPABILITIES['root/by-hand'];

interface ByHandTarget {
  /** Where the credential administers. */
  readonly upstream: RootUpstream;
}

const form = z.strictObject({ upstream: z.enum(ROOT_UPSTREAMS) });
/** One that another version knew is like any other. */
const stored = z.object({ upstream: z.enum(ROOT_UPSTREAMS).catch('other') });

/** Characters of a fingerprint by which a value is called where its upstream has no say. */
const ID_LENGTH = 23;

/**
 * Administrative credentials that a person replaces, by a date. Rekey reads the secret to know the age of its value and whether it
 * is another one; it never uses it here: that it is let in, the functions say that work with it.
 */
export const rootByHandProvider: CredentialProvider<ByHandTarget, string> = {
  type: 'root',
  provider: 'by-hand',
  overlap: FACTS.overlap,
  revocation: FACTS.revocation,

  target(input) {
    const parsed = form.safeParse(input, { error: inWords });
    if (!parsed.success)
      throwAll(
        declarationErrors(parsed.error, 'target', 'docs/providers/by-hand.md has every field of a target'),
      );
    return form.parse(input);
  },
  storedTarget: (input) => stored.parse(input),
  material: (text) => text,
  serialize: (material) => material,
  secretPart: (material) => material.map(rootSecretOf),
  preflight: async () => Promise.resolve([]),
  issue: refused,
  assertBelongs: () => undefined,
  verify: async () => Promise.resolve(),
  revoke: refused,
  adoption: {
    marks: false,
    identify: async (_target, material: Redacted<string>) => {
      if (isPoolAlone(material.reveal())) throw notARoot();
      return Promise.resolve(fingerprint(material.map(rootSecretOf)).slice(0, ID_LENGTH));
    },
    dependencies: async () => Promise.resolve([]),
    adopt: refused,
    release: async () => Promise.resolve(),
  },
};

function notARoot(): RekeyError {
  return new RekeyError('ERR_DECLARATION', 'this secret is nothing but a pool: it administers nothing', {
    field: 'secret',
    remedy: 'declare no root for it: its keys are replaced as the credentials are that take them',
  });
}

async function refused(): Promise<never> {
  return Promise.reject(
    new RekeyError('ERR_DECLARATION', 'a person replaces this credential: Rekey neither makes nor ends one', {
      field: 'mode',
      remedy: 'leave it in mode observe; rekey roots has its steps',
    }),
  );
}
