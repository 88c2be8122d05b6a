import { TABLE } from '../../shared/names.ts';
import { isRecord, recordOf, recordsOf, textOf } from '../json.ts';
import { localAccountId, localRegion } from '../settings.ts';
import type { CallKind } from './classify.ts';
import { IamRequests } from './iam-requests.ts';
import { KmsRequests } from './kms-requests.ts';

/** What IAM is asked about a call: one of these for each action that AWS would authorise. Names only, no values. */
export interface IamRequest {
  readonly action: string;
  /** ARN; absent where the request itself doesn't say it (a task token names its machine to the service only). */
  readonly resource?: string;
  /** Condition keys that the call or its resource brings along. */
  readonly context?: Readonly<Record<string, string | readonly string[]>>;
}

type Input = Readonly<Record<string, unknown>>;
type Context = Record<string, string | readonly string[]>;
type TagsOf = (service: string, resource: string) => Readonly<Record<string, string>>;

interface Secret {
  tags: Record<string, string>;
  key?: string;
  rotator?: string;
}

const arn = (service: string, resource: string): string =>
  `arn:aws:${service}:${localRegion}:${localAccountId}:${resource}`;
const arnOr = (value: string, service: string, prefix: string): string =>
  value.startsWith('arn:') ? value : arn(service, `${prefix}${value}`);

/** Operations of a transaction as IAM knows them: it sees each, never the transaction. */
const TRANSACTED: Readonly<Record<string, string>> = {
  Put: 'PutItem',
  Delete: 'DeleteItem',
  Update: 'UpdateItem',
  ConditionCheck: 'ConditionCheckItem',
  Get: 'GetItem',
};

/** Operations that make Secrets Manager use the secret's key in the caller's name, as its documentation lists them. */
const KEY_ACTIONS: Readonly<Record<string, readonly string[]>> = {
  CreateSecret: ['kms:GenerateDataKey', 'kms:Decrypt'],
  PutSecretValue: ['kms:GenerateDataKey', 'kms:Decrypt'],
  GetSecretValue: ['kms:Decrypt'],
};

function s3({ operation, resource: named = '', keys }: CallKind): readonly IamRequest[] | undefined {
  const resource = `arn:aws:s3:::${named}`;
  if (operation === 'ListObjectsV2')
    return [{ action: 's3:ListBucket', resource, context: { 's3:prefix': keys?.['prefix'] ?? '' } }];
  const isKnown = ['GetObject', 'PutObject', 'DeleteObject'].includes(operation);
  return isKnown ? [{ action: `s3:${operation}`, resource }] : undefined;
}

/**
 * Translates calls into what IAM is asked (Service Authorization Reference), what AWS asks in the caller's name
 * included. It remembers tags and keys of the secrets that it saw being made: conditions of policies ask for them.
 */
export class Requests {
  readonly #secrets = new Map<string, Secret>();
  readonly #iam = new IamRequests();
  readonly #kms = new KmsRequests();
  readonly #playedTags: TagsOf;

  /** Tags of what services that are played have; of all else it learns them. */
  constructor(playedTags: TagsOf = () => ({})) {
    this.#playedTags = playedTags;
  }

  /** Undefined where nobody has written down yet what the operation asks for. */
  of(call: CallKind, input: Input | undefined): readonly IamRequest[] | undefined {
    switch (call.service) {
      case 'dynamodb':
        return dynamodb(call.operation, input ?? {});
      case 'secretsmanager':
        return this.#secretsManager(call.operation, input ?? {});
      case 'states':
        return states(call.operation, input ?? {});
      case 'events':
        return call.operation === 'PutEvents' ? events(input ?? {}) : rules(call.operation, input ?? {});
      case 'kms':
        return this.#kms.of(call.operation, input ?? {});
      case 'lambda':
        return lambda(call);
      case 's3':
        return s3(call);
      case 'acm-pca':
        return privateCa(call.operation, input ?? {}, this.#playedTags);
      case 'iam':
        return this.#iam.of(call.operation, input ?? {});
      case 'sts':
        // No permission is required to ask who one is.
        return call.operation === 'GetCallerIdentity' ? [] : undefined;
      default:
        return undefined;
    }
  }

  /** Learns what a call that succeeded has changed; `answer` tells the names that AWS itself has given. */
  learn(call: CallKind, input: Input | undefined, answer: () => Input | undefined): void {
    if (call.service === 'iam') this.#iam.learn(call.operation, input ?? {});
    if (call.service === 'kms' && call.operation === 'CreateKey')
      this.#kms.learn(input ?? {}, answer() ?? {});
    if (call.service !== 'secretsmanager' || input === undefined) return;
    const { operation } = call;
    if (operation === 'CreateSecret') {
      const key = textOf(input['KmsKeyId']);
      this.#secrets.set(nameOf(textOf(input['Name']) ?? ''), {
        tags: tagsOf(input['Tags']),
        ...(key === undefined ? {} : { key: arnOr(key, 'kms', 'key/') }),
      });
    }
    const secret = this.#secrets.get(nameOf(textOf(input['SecretId']) ?? ''));
    if (secret === undefined) return;
    if (operation === 'TagResource') Object.assign(secret.tags, tagsOf(input['Tags']));
    if (operation === 'UntagResource') for (const key of keysOf(input)) delete secret.tags[key];
    const rotator = operation === 'RotateSecret' ? textOf(input['RotationLambdaARN']) : undefined;
    if (rotator !== undefined) secret.rotator = rotator;
  }

  #secretsManager(operation: string, input: Input): readonly IamRequest[] | undefined {
    // Listing knows no resource.
    if (operation === 'ListSecrets') return [{ action: 'secretsmanager:ListSecrets' }];
    const id = textOf(input['SecretId']) ?? textOf(input['Name']);
    if (id === undefined) return undefined;
    const secret = this.#secrets.get(nameOf(id));
    // Secrets Manager adds six characters to a name; which ones doesn't matter to any policy here.
    const resource = id.startsWith('arn:') ? id : arn('secretsmanager', `secret:${id}-000000`);
    const given = tagsOf(input['Tags']);
    const label = textOf(input['VersionStage']);
    const context: Context = {
      ...prefixed('aws:ResourceTag/', operation === 'CreateSecret' ? {} : (secret?.tags ?? {})),
      ...prefixed('aws:RequestTag/', given),
      ...(keysOf(input).length === 0 ? {} : { 'aws:TagKeys': keysOf(input) }),
      ...(label === undefined ? {} : { 'secretsmanager:VersionStage': label }),
    };
    const asked: IamRequest[] = [{ action: `secretsmanager:${operation}`, resource, context }];
    if (operation === 'CreateSecret' && Object.keys(given).length > 0) {
      asked.push({ action: 'secretsmanager:TagResource', resource, context });
    }
    const created = textOf(input['KmsKeyId']);
    const key = created === undefined ? secret?.key : arnOr(created, 'kms', 'key/');
    // A secret without a key of its own is under the service's, whose policy admits the whole account.
    if (key !== undefined) {
      for (const action of KEY_ACTIONS[operation] ?? []) {
        asked.push(viaService(action, key, 'secretsmanager', { SecretARN: resource }));
      }
    }
    const rotator = textOf(input['RotationLambdaARN']) ?? secret?.rotator;
    // The service asks whether the caller of RotateSecret may invoke the rotation function.
    if (operation === 'RotateSecret' && rotator !== undefined) {
      asked.push({ action: 'lambda:InvokeFunction', resource: rotator });
    }
    return asked;
  }
}

/** A use of a key that `service` makes in its caller's name. */
export function viaService(
  action: string,
  key: string,
  service: string,
  encryptionContext: Readonly<Record<string, string>>,
): IamRequest {
  return {
    action,
    resource: key,
    context: {
      'kms:ViaService': `${service}.${localRegion}.amazonaws.com`,
      'kms:CallerAccount': localAccountId,
      ...prefixed('kms:EncryptionContext:', encryptionContext),
    },
  };
}

function dynamodb(operation: string, input: Input): readonly IamRequest[] | undefined {
  if (operation === 'TransactWriteItems' || operation === 'TransactGetItems') {
    return recordsOf(input['TransactItems']).flatMap((item) =>
      Object.entries(item).flatMap(([kind, part]) => itemRequest(TRANSACTED[kind] ?? kind, recordOf(part))),
    );
  }
  if (textOf(input['TableName']) === undefined) return undefined;
  return itemRequest(operation, input);
}

function itemRequest(operation: string, input: Input): IamRequest[] {
  const table = arnOr(textOf(input['TableName']) ?? '', 'dynamodb', 'table/');
  const index = textOf(input['IndexName']);
  const key = recordOf(isRecord(input['Key']) ? input['Key'] : input['Item'])[TABLE.pk];
  const leading = textOf(recordOf(key)['S']) ?? queriedKey(input);
  return [
    {
      action: `dynamodb:${operation}`,
      resource: index === undefined ? table : `${table}/index/${index}`,
      ...(leading === undefined ? {} : { context: { 'dynamodb:LeadingKeys': [leading] } }),
    },
  ];
}

/** The partition that a query reads. */
function queriedKey(input: Input): string | undefined {
  const condition = textOf(input['KeyConditionExpression']) ?? '';
  const placeholder = /^\w+ = (:\w+)/.exec(condition)?.[1] ?? '';
  return textOf(recordOf(recordOf(input['ExpressionAttributeValues'])[placeholder])['S']);
}

/** Operations of Lambda by method and path; each asks for one action on the function. */
const LAMBDA: Readonly<Record<string, string>> = {
  Invoke: 'InvokeFunction',
  'GET configuration': 'GetFunctionConfiguration',
  'GET versions': 'ListVersionsByFunction',
};

function lambda({ operation, resource = '' }: CallKind): readonly IamRequest[] | undefined {
  const action = LAMBDA[operation];
  return action === undefined
    ? undefined
    : [{ action: `lambda:${action}`, resource: arnOr(resource, 'lambda', 'function:') }];
}

/** Operations on an authority, which is what IAM is asked about also where they are about a certificate of it. */
function privateCa(operation: string, input: Input, playedTags: TagsOf): readonly IamRequest[] | undefined {
  const resource = textOf(input['CertificateAuthorityArn']);
  if (resource === undefined) return undefined;
  const template = textOf(input['TemplateArn']);
  return [
    {
      action: `acm-pca:${operation}`,
      resource,
      context: {
        ...prefixed('aws:ResourceTag/', playedTags('acm-pca', resource)),
        ...(template === undefined ? {} : { 'acm-pca:TemplateArn': template }),
      },
    },
  ];
}

function states(operation: string, input: Input): readonly IamRequest[] {
  const resource = textOf(input['stateMachineArn']) ?? textOf(input['executionArn']);
  return [{ action: `states:${operation}`, ...(resource === undefined ? {} : { resource }) }];
}

function events(input: Input): readonly IamRequest[] {
  return recordsOf(input['Entries']).map((entry) => ({
    action: 'events:PutEvents',
    resource: arnOr(textOf(entry['EventBusName']) ?? 'default', 'events', 'event-bus/'),
    context: {
      'events:source': textOf(entry['Source']) ?? '',
      'events:detail-type': textOf(entry['DetailType']) ?? '',
    },
  }));
}

/** Operations on a rule of a bus. A target with a role asks whether the caller may hand that on. */
function rules(operation: string, input: Input): readonly IamRequest[] | undefined {
  // Listing knows no resource.
  if (operation === 'ListRules') return [{ action: 'events:ListRules' }];
  const name = textOf(input['Rule']) ?? textOf(input['Name']);
  const bus = textOf(input['EventBusName']);
  if (name === undefined || bus === undefined) return undefined;
  const targets = recordsOf(input['Targets']);
  const arns = targets.map((target) => textOf(target['Arn']) ?? '');
  return [
    {
      action: `events:${operation}`,
      resource: arn('events', `rule/${bus}/${name}`),
      ...(arns.length === 0 ? {} : { context: { 'events:TargetArn': arns } }),
    },
    ...targets.flatMap((target) => {
      const role = textOf(target['RoleArn']);
      const context = { 'iam:PassedToService': 'events.amazonaws.com' };
      return role === undefined ? [] : [{ action: 'iam:PassRole', resource: role, context }];
    }),
  ];
}

function tagsOf(tags: unknown): Record<string, string> {
  return Object.fromEntries(
    recordsOf(tags).map((tag) => [textOf(tag['Key']) ?? '', textOf(tag['Value']) ?? '']),
  );
}

/** Keys of the tags that a request adds or takes off. */
function keysOf(input: Input): string[] {
  const off = Array.isArray(input['TagKeys']) ? input['TagKeys'] : [];
  return [...Object.keys(tagsOf(input['Tags'])), ...off.filter((key) => typeof key === 'string')];
}

function prefixed(prefix: string, values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
}

/** The name of a secret, from its name or its ARN. */
function nameOf(id: string): string {
  return id.startsWith('arn:') ? (id.split(':secret:')[1] ?? '').slice(0, -7) : id;
}
