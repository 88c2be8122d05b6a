import { localAccountId, localRegion } from '../../../local/settings.ts';
import { at, list, text, type Json, type Resource, type Stack, type Stacks } from '../../infra/app.ts';

/** Names that CloudFormation gave, by the stack's name and the logical id. */
export type PhysicalNames = Readonly<Record<string, Readonly<Record<string, string>>>>;

const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::Partition': 'aws',
  'AWS::Region': localRegion,
  'AWS::AccountId': localAccountId,
  'AWS::URLSuffix': 'amazonaws.com',
};

/** What `Ref` and the attribute of the ARN give, by type and physical name; the documentation of each type says it. */
const FORMS: Readonly<Record<string, { ref: 'name' | 'arn'; arn: (name: string) => string }>> = {
  'AWS::DynamoDB::Table': { ref: 'name', arn: (name) => arn('dynamodb', `table/${name}`) },
  'AWS::KMS::Key': { ref: 'name', arn: (name) => arn('kms', `key/${name}`) },
  'AWS::S3::Bucket': { ref: 'name', arn: (name) => `arn:aws:s3:::${name}` },
  'AWS::Events::EventBus': { ref: 'name', arn: (name) => arn('events', `event-bus/${name}`) },
  'AWS::Events::Rule': { ref: 'name', arn: (name) => arn('events', `rule/${name}`) },
  'AWS::SQS::Queue': { ref: 'name', arn: (name) => arn('sqs', name.split('/').at(-1) ?? name) },
  'AWS::SNS::Topic': { ref: 'arn', arn: (name) => arn('sns', name) },
  'AWS::Logs::LogGroup': { ref: 'name', arn: (name) => arn('logs', `log-group:${name}:*`) },
  'AWS::IAM::Role': { ref: 'name', arn: (name) => `arn:aws:iam::${localAccountId}:role/${name}` },
  'AWS::Lambda::Function': { ref: 'name', arn: (name) => arn('lambda', `function:${name}`) },
  'AWS::StepFunctions::StateMachine': { ref: 'arn', arn: (name) => arn('states', `stateMachine:${name}`) },
  'AWS::ApiGatewayV2::Api': { ref: 'name', arn: (name) => arn('apigateway', `/apis/${name}`) },
};

/** Properties by which a template names a resource itself. */
const NAMES = ['StateMachineName', 'LogGroupName', 'RoleName'];

function arn(service: string, resource: string): string {
  return `arn:aws:${service}:${localRegion}:${localAccountId}:${resource}`;
}

/** Replaces what only CloudFormation knows in the values of synthesised templates. */
export class Resolver {
  readonly #stacks: Stacks;
  readonly #names: PhysicalNames;

  /** Without a name for a resource its logical id serves: any will do where nothing was deployed. */
  constructor(stacks: Stacks, names: PhysicalNames = {}) {
    this.#stacks = stacks;
    this.#names = names;
  }

  /** @throws Error at a function or an attribute that nobody has needed yet. */
  resolve(value: Json, stack: Stack): Json {
    if (Array.isArray(value)) return value.map((each) => this.resolve(each, stack));
    if (typeof value !== 'object' || value === null) return value;
    const [first, ...more] = Object.entries(value);
    if (first !== undefined && more.length === 0) {
      const [name, args] = first;
      if (name === 'Ref') return this.#ref(text(args), stack);
      if (name === 'Fn::GetAtt') return this.#attribute(text(at(args, '0')), text(at(args, '1')), stack);
      if (name === 'Fn::ImportValue') return this.#import(text(args));
      if (name === 'Fn::Join')
        return list(at(args, '1'))
          .map((part) => this.text(part, stack))
          .join(text(at(args, '0')));
      if (name === 'Fn::Split') return this.text(at(args, '1') ?? '', stack).split(text(at(args, '0')));
      if (name === 'Fn::Select') {
        const among = this.resolve(at(args, '1') ?? [], stack);
        return at(among, JSON.stringify(at(args, '0'))) ?? '';
      }
      if (name.startsWith('Fn::')) throw new Error(`${name} can't be resolved yet: add it in resolve.ts`);
    }
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.resolve(each, stack)]));
  }

  text(value: Json, stack: Stack): string {
    return text(this.resolve(value, stack));
  }

  /** The ARN of a resource. */
  arn(resource: Resource, stack: Stack): string {
    if (resource.Type === 'AWS::Lambda::Alias') {
      const of = this.text(resource.Properties['FunctionName'] ?? '', stack);
      return arn('lambda', `function:${of}:${text(resource.Properties['Name'])}`);
    }
    const name = this.#name(resource, stack);
    if (name.startsWith('arn:')) return name;
    const form = FORMS[resource.Type];
    if (form === undefined) throw new Error(`the ARN of ${resource.Type} is unknown: add it in resolve.ts`);
    return form.arn(name);
  }

  #ref(id: string, stack: Stack): string {
    const pseudo = PSEUDO[id];
    if (pseudo !== undefined) return pseudo;
    const resource = this.#find(id, stack);
    const byArn = resource.Type === 'AWS::Lambda::Alias' || FORMS[resource.Type]?.ref === 'arn';
    return byArn ? this.arn(resource, stack) : this.#name(resource, stack);
  }

  #attribute(id: string, attribute: string, stack: Stack): string {
    const resource = this.#find(id, stack);
    if (attribute === 'Arn' || attribute === 'TopicArn') return this.arn(resource, stack);
    if (attribute === 'StreamArn') return `${this.arn(resource, stack)}/stream/2026-01-01T00:00:00.000`;
    if (attribute === 'Version') return '1';
    throw new Error(`${resource.Type}.${attribute} can't be resolved yet: add it in resolve.ts`);
  }

  #import(name: string): string {
    for (const stack of Object.values(this.#stacks)) {
      const output = stack.outputs.find((each) => each.Export?.Name === name);
      if (output !== undefined) return this.text(output.Value, stack);
    }
    throw new Error(`no stack exports ${name}`);
  }

  #name(resource: Resource, stack: Stack): string {
    const given = NAMES.map((field) => text(resource.Properties[field])).find((each) => each !== '');
    return this.#names[stack.name]?.[resource.logicalId] ?? given ?? resource.logicalId;
  }

  #find(id: string, stack: Stack): Resource {
    const found = stack.resources.find(({ logicalId }) => logicalId === id);
    if (found === undefined) throw new Error(`${stack.name} has no resource ${id}`);
    return found;
  }
}
