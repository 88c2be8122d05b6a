import { Aws } from 'aws-cdk-lib';
import { TAG, type TypedRole } from '../../shared/names.ts';
import type { DirectoryAccess } from './directory.ts';
import { actOnIdentities, readDirectory } from './directory.ts';
import { arn, viaService, type Grant } from './grant.ts';
import { listLedger, type LedgerAccess } from './ledger.ts';

/** Single items of a table below these leading keys only. */
function below(tableArn: string, action: string, ...keys: string[]): Grant {
  return {
    actions: [`dynamodb:${action}`],
    resources: [tableArn],
    conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': keys } },
  };
}

/** Signs with the keys of certificate authorities of this deployment. */
function signAsAuthority(stage: string): Grant {
  return {
    actions: ['kms:Sign'],
    resources: [arn('kms', 'key/*')],
    conditions: {
      StringEquals: {
        'kms:KeyUsage': 'SIGN_VERIFY',
        [`aws:ResourceTag/${TAG.type}`]: 'certificate-authority',
        [`aws:ResourceTag/${TAG.stage}`]: stage,
      },
    },
    wildcard: 'Keys are made at run time; the condition on their tags narrows the pattern to those of Rekey.',
  };
}

/** Tells whether a certificate that was issued is revoked, with a key that certifies nothing. */
export function tellStatuses(directory: DirectoryAccess, statusKeyArn: string): Grant[] {
  return [
    below(directory.tableArn, 'GetItem', '*#LEAF#*', '*#CRL#*'),
    { actions: ['kms:Sign'], resources: [statusKeyArn] },
  ];
}

/** Reads the public part of the key that tells which certificates are revoked, to certify it. */
export function certifyStatusKey(role: TypedRole, statusKeyArn: string): Grant[] {
  const makes = role === 'rotate' || role === 'register' || role === 'replace';
  return makes ? [{ actions: ['kms:GetPublicKey'], resources: [statusKeyArn] }] : [];
}

/**
 * Issues certificates: looks at who may have one and who signs, records it, and signs with the keys of certificate authorities of
 * this deployment. It changes no bundle and makes no key.
 */
export function issueCertificates(ledger: LedgerAccess, directory: DirectoryAccess, stage: string): Grant[] {
  return [
    below(ledger.tableArn, 'GetItem', '*#NAME#*', '*#C#*', '*#PACT#*'),
    viaService('dynamodb', [ledger.keyArn], ['kms:Decrypt']),
    ...readDirectory(directory, 'bundles').filter(({ actions }) => !actions.includes('kms:Decrypt')),
    below(directory.tableArn, 'GetItem', '*#LEAFKEY#*'),
    below(directory.tableArn, 'PutItem', '*#LEAF#*', '*#LEAFKEY#*'),
    below(directory.tableArn, 'UpdateItem', '*#LEAFCOUNT#*'),
    signAsAuthority(stage),
    ...actOnPrivateAuthorities('issue', stage),
  ];
}

/** What acts on authorities of AWS Private CA: functions of credentials, and those that issue certificates or revoke single ones. */
type ActsOnAuthorities = TypedRole | 'issue' | 'revoke-one';

/**
 * Revokes single certificates, signs the lists that tell it, and certifies who answers, with the keys of certificate authorities of this deployment. It
 * changes no bundle and records no certificate; of the ledger it writes records.
 */
export function revokeCertificates(
  { ledger, directory }: { readonly ledger: LedgerAccess; readonly directory: DirectoryAccess },
  stage: string,
  statusKeyArn: string,
): Grant[] {
  return [
    below(ledger.tableArn, 'GetItem', '*#NAME#*', '*#C#*'),
    below(ledger.tableArn, 'PutItem', '*#C#*', '*#BEAT#*'),
    ...listLedger(ledger),
    viaService('dynamodb', [ledger.keyArn], ['kms:Decrypt']),
    ...readDirectory(directory, 'bundles').filter(({ actions }) => !actions.includes('kms:Decrypt')),
    below(directory.tableArn, 'GetItem', '*#LEAF#*', '*#CRL#*'),
    below(directory.tableArn, 'PutItem', '*#CRL#*'),
    signAsAuthority(stage),
    ...actOnPrivateAuthorities('revoke-one', stage),
    { actions: ['kms:GetPublicKey'], resources: [statusKeyArn] },
  ];
}

/**
 * Acts on certificates whose keys Rekey keeps: records those that it makes, puts those that it ends on the list of their authority, and
 * looks whether one counts. Lists are signed by whoever signs them all.
 */
export function actOnKeptCertificates(directory: DirectoryAccess, role: TypedRole): Grant[] {
  const { tableArn } = directory;
  const looks = below(tableArn, 'GetItem', '*#CRL#*');
  if (role === 'verify') return [...readDirectory(directory, 'leaves'), looks];
  // A way back tries what agents return to.
  if (role === 'rollback') return [...readDirectory(directory, 'bundles', 'leaves'), looks];
  const ends = [...actOnIdentities(directory, role, 'leaves'), looks, below(tableArn, 'PutItem', '*#CRL#*')];
  const makes = role === 'rotate' || role === 'register' || role === 'replace';
  return makes ? [...ends, below(tableArn, 'PutItem', '*#LEAF#*', '*#LEAFKEY#*')] : ends;
}

/** The template by which certificates of agents are issued, whatever the call says: no other one makes an authority. */
const TEMPLATE = `arn:${Aws.PARTITION}:acm-pca:::template/EndEntityCertificate_APIPassthrough/V1`;

/** What is done with authorities of AWS Private CA that a person has made and tagged for this deployment. None is made or deleted. */
export function actOnPrivateAuthorities(role: ActsOnAuthorities, stage: string): Grant[] {
  const on = (actions: readonly string[], more: Readonly<Record<string, string>> = {}): Grant => ({
    actions: actions.map((action) => `acm-pca:${action}`),
    resources: [arn('acm-pca', 'certificate-authority/*')],
    conditions: {
      StringEquals: {
        [`aws:ResourceTag/${TAG.type}`]: 'certificate-authority',
        [`aws:ResourceTag/${TAG.stage}`]: stage,
        ...more,
      },
    },
    wildcard:
      'Declarations name authorities at run time; the condition on their tags narrows the pattern to those of Rekey.',
  });
  const issues = [on(['IssueCertificate'], { 'acm-pca:TemplateArn': TEMPLATE }), on(['GetCertificate'])];
  const ends = on(['UpdateCertificateAuthority']);
  const looks = on(['DescribeCertificateAuthority', 'GetCertificateAuthorityCertificate']);
  const grants: Readonly<Record<ActsOnAuthorities, readonly Grant[]>> = {
    issue: issues,
    'revoke-one': [on(['DescribeCertificateAuthority', 'RevokeCertificate'])],
    verify: [],
    retire: [ends],
    revoke: [ends],
    rollback: issues,
    reconcile: [ends, ...issues],
    rotate: [ends, looks, ...issues],
    register: [ends, looks, ...issues],
    replace: [ends, looks, ...issues],
  };
  return [...grants[role]];
}
