import * as z from 'zod';
import type { CredentialHandle } from '../../domain/credential.ts';
import type { SetKind } from '../../domain/directory.ts';

/** As much of an identity's target as a person has to know, from whichever version wrote it. */
const stored = z.object({
  name: z.string(),
  cacheSeconds: z.number(),
  /** Of a signing key: where its private part is. */
  held: z.string().optional(),
  /** Of certificate authorities that AWS Private CA has. */
  authorities: z.array(z.string()).optional(),
});

/** What an entry of a set is to who verifies. */
const WHAT: Readonly<Record<SetKind, string>> = {
  jwks: 'that kid',
  tokens: 'tokens with that id',
  bundles: 'the authority with that key id',
};

/** What a person runs where Rekey can't: the entry is ended in the directory as an emergency ends it. */
export function endedByHand(kind: SetKind, target: unknown, { id }: CredentialHandle): string {
  const { name, cacheSeconds, held, authorities } = stored.parse(target);
  const key = `{"pk":{"S":"default#SET#${kind}#${name}"},"sk":{"S":"SET"}}`;
  const ends = 'if .id == $id then .state = "ended" | .endedAt = (now | todate) else . end';
  const ref = `"$(jq -r --arg id '${id}' '.doc.S | fromjson | .entries[] | select(.id == $id) | .ref' set.json)"`;
  return [
    '# as somebody who may write the table of the directory, and use its key (output DirectoryTable of the stack rekey-<stage>-state;',
    '# "default" is the tenant of the settings); with jq:',
    `aws dynamodb get-item --table-name "$DIRECTORY_TABLE" --consistent-read --key '${key}' --query Item --output json > set.json`,
    `jq --arg id '${id}' '.doc.S |= (fromjson | .version += 1 | .entries |= map(${ends}) | tojson) | .version.N = (.version.N | tonumber + 1 | tostring)' set.json > ended.json`,
    `aws dynamodb put-item --table-name "$DIRECTORY_TABLE" --item file://ended.json --condition-expression 'version = :v' --expression-attribute-values "{\\":v\\":$(jq -c .version set.json)}"`,
    ...(authorities !== undefined
      ? [
          '# it issues nothing more:',
          `aws acm-pca update-certificate-authority --status DISABLED --certificate-authority-arn ${ref}`,
        ]
      : held === 'kms' || kind === 'bundles'
        ? ['# its private part is in KMS, and signs nothing more:', `aws kms disable-key --key-id ${ref}`]
        : []),
    `# Verifiers refuse it within ${cacheSeconds} s, and at once where they are started again or call expire(). Dead once the set has`,
    `# no ${id}. Where nobody may write the table: let verifiers refuse ${WHAT[kind]}.`,
    '# Once Rekey is back: rekey revoke, which gives the agents another.',
  ].join('\n');
}
