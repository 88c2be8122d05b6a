import type { ListSecretsCommandOutput } from '@aws-sdk/client-secrets-manager';
import { shapeOf, type SecretFacts, type Shape } from '../domain/inventory.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Vault } from '../ports/vault.ts';
import { instantOfWire, isAwsError, type AwsCalls } from './aws-client.ts';

const PAGE = 100;
const READS_AT_ONCE = 10;

type Listed = NonNullable<ListSecretsCommandOutput['SecretList']>[number];

/** A page of the account's secrets. */
export interface InventoryPage {
  readonly secrets: readonly Omit<SecretFacts, 'registered' | 'readers'>[];
  readonly next?: string;
}

/** Lists the secrets of the account and looks at the form of those below `readable`, the prefixes of the settings. */
export class SecretsInventory {
  readonly #aws: AwsCalls;
  readonly #vault: Pick<Vault, 'read'>;
  readonly #readable: readonly string[];

  constructor(options: { aws: AwsCalls; vault: Pick<Vault, 'read'>; readable: readonly string[] }) {
    this.#aws = options.aws;
    this.#vault = options.vault;
    this.#readable = options.readable;
  }

  /** @throws RekeyError ERR_REQUEST where `page` is none of ours. */
  async page(request: { prefix?: string | undefined; page?: string | undefined }): Promise<InventoryPage> {
    const answer = await this.#list(request);
    const listed = answer.SecretList ?? [];
    const secrets: Omit<SecretFacts, 'registered' | 'readers'>[] = [];
    for (let from = 0; from < listed.length; from += READS_AT_ONCE) {
      const some = listed.slice(from, from + READS_AT_ONCE);
      secrets.push(...(await Promise.all(some.map(async (secret) => this.#facts(secret)))));
    }
    return { secrets, ...(answer.NextToken === undefined ? {} : { next: answer.NextToken }) };
  }

  async #list({
    prefix,
    page,
  }: {
    prefix?: string | undefined;
    page?: string | undefined;
  }): Promise<ListSecretsCommandOutput> {
    try {
      return await this.#aws.json('secretsmanager', 'ListSecrets', {
        MaxResults: PAGE,
        ...(prefix === undefined ? {} : { Filters: [{ Key: 'name', Values: [prefix] }] }),
        ...(page === undefined ? {} : { NextToken: page }),
      });
    } catch (error) {
      if (page === undefined || !isAwsError(error, 'InvalidNextTokenException')) throw error;
      throw new RekeyError('ERR_REQUEST', 'the page token is not one of ours', {
        field: 'page',
        remedy: 'pass the `next` of the answer before, or begin again without it',
        cause: error,
      });
    }
  }

  async #facts(secret: Listed): Promise<Omit<SecretFacts, 'registered' | 'readers'>> {
    const name = secret.Name ?? '';
    return {
      name,
      arn: secret.ARN ?? '',
      tags: Object.fromEntries((secret.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value])),
      owningService: secret.OwningService,
      kmsKey: secret.KmsKeyId,
      rotationFunction: secret.RotationEnabled === true ? secret.RotationLambdaARN : undefined,
      lastAccessed: instantOfWire(secret.LastAccessedDate),
      lastChanged: instantOfWire(secret.LastChangedDate),
      shape: await this.#shape(secret, name),
    };
  }

  async #shape({ OwningService, Tags = [] }: Listed, name: string): Promise<Shape> {
    if (OwningService !== undefined) return { kind: 'unknown', why: `${OwningService} owns it` };
    if (Tags.some(({ Key }) => Key === 'rekey:admin')) {
      return { kind: 'unknown', why: 'administrative secrets are not looked at' };
    }
    if (!this.#readable.some((prefix) => name.startsWith(prefix))) {
      return { kind: 'unknown', why: 'its name is below none of the adoptPrefixes of the settings' };
    }
    try {
      const text = await this.#vault.read(name, { stage: 'AWSCURRENT' });
      return text === undefined ? { kind: 'unknown', why: 'it has no current text' } : shapeOf(text);
    } catch (error) {
      if (!isAwsError(error, 'AccessDeniedException', 'InvalidRequestException')) throw error;
      return {
        kind: 'unknown',
        why: 'reading it is denied; where a key of your own encrypts it, name that in adoptKeyArns',
      };
    }
  }
}
