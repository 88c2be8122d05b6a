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
  leaves: 'the certificate with that serial number',
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

/** As much of the target of a key that Rekey keeps as a person has to know. */
const kept = z.object({
  authority: z.string(),
  trustDomain: z.string(),
  holder: z.string(),
  instance: z.string().optional(),
});

/** The same for a certificate whose key Rekey keeps: it is put on the list of its authority, where OCSP looks. */
export function certificateEndedByHand(target: unknown, { id }: CredentialHandle): string {
  const { authority, trustDomain, holder, instance } = kept.parse(target);
  const name = [`spiffe://${trustDomain}/agent`, holder, ...(instance === undefined ? [] : [instance])].join(
    '/',
  );
  const keyOf = (pk: string, sk: string): string =>
    `{\\"pk\\":{\\"S\\":\\"default#${pk}\\"},\\"sk\\":{\\"S\\":\\"${sk}\\"}}`;
  const read = `aws dynamodb get-item --table-name "$DIRECTORY_TABLE" --consistent-read --query Item --output json`;
  const list = `CRL#$(jq -r .document.set leaf.json)#$(jq -r .document.authority leaf.json)`;
  const adds =
    '.version += 1 | .changedIn = .version | .revoked += [{serial: $id, revokedAt: (now | todate), notAfter: $leaf[0].notAfter}]';
  return [
    '# Where the control API works, this is all, and the list is signed at once:',
    `# rekey revoke ${authority} --certificate ${id} --incident … --reason …`,
    '# Else as somebody who may write the table of the directory, and use its key (output DirectoryTable of the stack',
    '# rekey-<stage>-state; "default" is the tenant of the settings); with jq:',
    `${read} --key "${keyOf(`SET#leaves#${name}`, 'SET')}" > set.json`,
    `jq --arg id '${id}' '.doc.S | fromjson | .entries[] | select(.id == $id)' set.json > leaf.json`,
    `${read} --key "${keyOf(list, 'CRL')}" > list.json`,
    `jq --arg id '${id}' --slurpfile leaf leaf.json '.doc.S |= (fromjson | ${adds} | tojson) | .version.N = (.version.N | tonumber + 1 | tostring)' list.json > revoked.json`,
    `aws dynamodb put-item --table-name "$DIRECTORY_TABLE" --item file://revoked.json --condition-expression 'version = :v' --expression-attribute-values "{\\":v\\":$(jq -c .version list.json)}"`,
    `# OCSP says at once that ${id} is revoked, its list once revoke-certificates runs. Who asks for neither has to be told, or the`,
    '# authority revoked. Once Rekey is back: rekey revoke, which makes another key and certificate.',
  ].join('\n');
}
