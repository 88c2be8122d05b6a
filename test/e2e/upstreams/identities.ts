import { IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { AwsClient } from 'aws4fetch';
import { sigV4 } from '../../../client/src/sigv4.ts';
import { agentRole, sessionOf } from '../../../local/demo/agent.ts';
import { directoryUrl } from '../../../local/demo/directory.ts';
import { writeDeclaration } from '../../../local/demo/declaration.ts';
import { rekeyJson } from '../../../local/demo/rekey.ts';
import type { World } from '../../../local/demo/world.ts';
import { AwsCalls } from '../../../shared/adapters/aws-client.ts';
import { isHeld, type DirectorySet, type SetKind } from '../../../shared/domain/directory.ts';
import { OUTPUT, TABLE, TAG } from '../../../shared/names.ts';
import type { JwksMaterial } from '../../../shared/providers/jwks/material.ts';
import type { LeafMaterial } from '../../../shared/providers/leaf/material.ts';
import type { X509Material } from '../../../shared/providers/x509/material.ts';
import { signedWith, taken, verifies } from '../../contract/cases/jwks.ts';
import { leafOf, opensslTakes } from '../../contract/cases/x509.ts';
import { statusOf } from '../certificate-status.ts';
import { entryOf, loseAnswer, type PlayedUpstream } from './played.ts';

/** What agents identify themselves with. */
export const IDENTITIES = {
  'signing-key/jwks': signingKeys,
  'agent-token/opaque': agentTokens,
  'certificate-authority/x509': certificateAuthorities,
  'certificate-authority/leaf': keptKeys,
} as const;

/** Asks whether a token is active, as RFC 7662 has it, signed as IAM wants it. */
export async function introspect(world: World, token: string): Promise<Record<string, unknown>> {
  const url = new URL(`${directoryUrl(world)}/introspect`);
  const body = new URLSearchParams({ token }).toString();
  const sign = sigV4(world.stack.clientConfig);
  const headers = await sign({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body,
  });
  const response = await fetch(url, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`introspection answers ${response.status}`);
  return (await response.json()) as Record<string, unknown>;
}

/** Keys with which agents sign; `jose` is the verifier. */
async function signingKeys(world: World): Promise<PlayedUpstream> {
  return {
    ...(await identity(world, {
      key: 'signing-key/jwks',
      kind: 'jwks',
      target: { name: 'shop-agents', issuer: 'https://agents.shop.example', tokenLifetimeSeconds: 1 },
      takes: async (secret) =>
        verifies(directoryUrl(world), 'shop-agents', JSON.parse(secret) as JwksMaterial),
    })),
    sign: signedWith,
  };
}

const KMS_SET = 'shop-kms';

/** Keys that stay in KMS, where agents sign under a role of their own that has what docs/providers/jwks.md says. */
export async function signingKeysInKms(world: World): Promise<PlayedUpstream> {
  const sign = await signerInKms(world);
  return {
    ...(await identity(world, {
      key: 'signing-key/jwks',
      kind: 'jwks',
      target: {
        name: KMS_SET,
        issuer: 'https://agents.shop.example',
        tokenLifetimeSeconds: 1,
        held: 'kms',
      },
      takes: async (secret) => {
        const material = JSON.parse(secret) as JwksMaterial;
        // A key that was ended signs nothing any more.
        const token = await sign(material).catch(() => '');
        return taken(directoryUrl(world), KMS_SET, material, token);
      },
    })),
    variant: 'signing-key/jwks, held in KMS',
    sign,
  };
}

/** What signs with the keys in KMS. */
async function signerInKms(world: World): Promise<NonNullable<PlayedUpstream['sign']>> {
  const { accountId, region, endpoint, clientConfig } = world.stack;
  const name = 'kms-signer';
  const role = await agentRole(world, name);
  const Statement = {
    Effect: 'Allow',
    Action: 'kms:Sign',
    Resource: `arn:aws:kms:*:${accountId}:key/*`,
    Condition: {
      StringEquals: { [`aws:ResourceTag/${TAG.set}`]: KMS_SET, [`aws:ResourceTag/${TAG.stage}`]: 'local' },
    },
  };
  const iam = new IAMClient(clientConfig);
  await iam.send(
    new PutRolePolicyCommand({
      RoleName: name,
      PolicyName: 'sign',
      PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement }),
    }),
  );
  iam.destroy();
  const kms = new AwsClient({ ...(await sessionOf(world, role)), region, service: 'kms' });
  return async ({ issuer, alg, jwk, keyArn }, lifeSeconds = 60) => {
    const iat = Math.floor(Date.now() / 1000);
    const text = [
      { alg, kid: jwk.kid },
      { iss: issuer, sub: 'agent-1', iat, exp: iat + lifeSeconds },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const answer = await kms.fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'TrentService.Sign' },
      body: JSON.stringify({
        KeyId: keyArn,
        Message: Buffer.from(text).toString('base64'),
        MessageType: 'RAW',
        SigningAlgorithm: 'ED25519_SHA_512',
      }),
      aws: { datetime: realTime() },
    });
    const { Signature = '', __type: refused = '' } = (await answer.json()) as Record<string, string>;
    if (!answer.ok) throw new Error(`KMS refuses to sign: ${refused}`);
    return `${text}.${Buffer.from(Signature, 'base64').toString('base64url')}`;
  };
}

/** As AWS wants it, which knows nothing of a clock that a test has moved. */
function realTime(): string {
  const now = new Date(performance.timeOrigin + performance.now());
  return now.toISOString().replaceAll(/[:-]|\.\d{3}/g, '');
}

/** Bearer tokens; whoever asks is known by IAM. */
async function agentTokens(world: World): Promise<PlayedUpstream> {
  return identity(world, {
    key: 'agent-token/opaque',
    kind: 'tokens',
    target: { name: 'shop-agent', agent: 'shop', audience: 'orders', scopes: ['orders:read'] },
    takes: async (secret) =>
      (await introspect(world, (JSON.parse(secret) as { token: string }).token))['active'] === true,
  });
}

/** Authorities that sign certificates of agents; openssl is the verifier. What signs here is KMS, as it signs for the agents' function. */
export async function certificateAuthorities(world: World): Promise<PlayedUpstream> {
  const { region, endpoint, clientConfig } = world.stack;
  // Named as no function: what it calls is no function's.
  const aws = new AwsCalls({ region, endpoint, credentials: clientConfig.credentials, caller: '' });
  const authorities = await identity(world, {
    key: 'certificate-authority/x509',
    kind: 'bundles',
    // So long that a renewal on a busy machine comes before the end.
    target: { name: 'shop-ca', trustDomain: 'shop.example', leafSeconds: 20 },
    soak: '21s',
    takes: async (secret) =>
      leafOf(aws, JSON.parse(secret) as X509Material).then(
        async (leaf) => opensslTakes(directoryUrl(world), 'shop-ca', leaf),
        () => false,
      ),
  });
  return { ...authorities, principal: await agentRole(world, 'shop') };
}

/** Keys that Rekey makes, under an authority of their own; openssl says whether they are trusted, and asks by OCSP. */
async function keptKeys(world: World): Promise<PlayedUpstream> {
  const key = 'certificate-authority/leaf';
  const authority = 'appliances-ca';
  const set = { name: 'appliances', trustDomain: 'appliances.example' };
  const times = { cacheSeconds: 1, clockSkewSeconds: 0 };
  const file = await writeDeclaration(
    world.dir,
    [
      {
        name: authority,
        type: 'certificate-authority',
        provider: 'x509',
        secret: `agents/${authority}`,
        target: { ...set, ...times },
        policy: { window: '20s', deadline: '90s', cap: '5m', evidenceOfUse: 'holders' },
        holders: [],
      },
    ],
    'appliances.yaml',
  );
  await rekeyJson(['apply', '-f', file], world.env);
  const target = { authority, trustDomain: set.trustDomain, holder: 'load-balancer' };
  const name = `spiffe://${target.trustDomain}/agent/${target.holder}`;
  const played = await identity(world, {
    key,
    kind: 'leaves',
    target: { ...target, name },
    takes: async (secret) => {
      const { certificate, bundle } = JSON.parse(secret) as LeafMaterial;
      if (!(await opensslTakes(directoryUrl(world), set.name, certificate))) return false;
      const shown = { certificate, bundle: await (await fetch(bundle)).text() };
      return (await statusOf(world, set.name, shown)) === 'good';
    },
  });
  return { ...played, entry: entryOf(key, target), policy: { interval: '1d' } };
}

/** Identities of one kind, led like keys: their upstream is the deployed directory. */
export async function identity(
  world: World,
  {
    key,
    kind,
    target,
    takes,
    soak = '2s',
  }: Pick<PlayedUpstream, 'key' | 'takes'> & {
    readonly soak?: string;
    readonly kind: SetKind;
    readonly target: Readonly<Record<string, unknown>> & { readonly name: string };
  },
): Promise<PlayedUpstream> {
  const dynamodb = new DynamoDBClient(world.stack.clientConfig);
  return Promise.resolve({
    key,
    entry: entryOf(key, { ...target, cacheSeconds: 1, clockSkewSeconds: 0 }),
    policy: { interval: '1d', soak },
    takes,
    loseCreation: () =>
      loseAnswer(world.stack, {
        service: 'dynamodb',
        operation: 'TransactWriteItems',
        resource: world.output(OUTPUT.directory),
      }),
    live: async () => {
      const { Item } = await dynamodb.send(
        new GetItemCommand({
          TableName: world.output(OUTPUT.directory),
          Key: { [TABLE.pk]: { S: `default#SET#${kind}#${target.name}` }, [TABLE.sk]: { S: 'SET' } },
        }),
      );
      const { entries } = JSON.parse(Item?.['doc']?.S ?? '{"entries":[]}') as DirectorySet;
      return entries.filter(isHeld).length;
    },
    [Symbol.asyncDispose]: async () => Promise.resolve(dynamodb.destroy()),
  });
}
