import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { isRecord } from '../../local/json.ts';
import { venvPython } from '../../scripts/setup.mjs';

interface Shape {
  readonly type: string;
  readonly required?: readonly string[];
  readonly members?: Readonly<Record<string, { readonly shape: string }>>;
  readonly member?: { readonly shape: string };
  readonly enum?: readonly string[];
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: string;
}

interface Operation {
  readonly input?: { readonly shape: string };
  readonly output?: { readonly shape: string };
  readonly errors?: readonly { readonly shape: string }[];
}

/** What JSON has for a type of the model. */
const IN_JSON: Readonly<Record<string, string>> = {
  string: 'string',
  blob: 'string',
  integer: 'number',
  long: 'number',
  timestamp: 'number',
  boolean: 'boolean',
};

/**
 * AWS's own description of a service whose protocol is JSON, as the SDK for Python carries it, which comes with the local stack: neither what
 * Rekey sends nor what a fake answers may differ from it.
 */
export class AwsModel {
  readonly #operations: Readonly<Record<string, Operation>>;
  readonly #shapes: Readonly<Record<string, Shape>>;

  constructor(service: string) {
    const folder = join(dirname(venvPython()), '..');
    const [file] = globSync(`lib*/**/botocore/data/${service}/*/service-2.json.gz`, { cwd: folder });
    if (file === undefined)
      throw new Error(`no description of ${service} in ${folder}: run \`npm run setup\``);
    const model = JSON.parse(gunzipSync(readFileSync(join(folder, file))).toString()) as {
      operations: Readonly<Record<string, Operation>>;
      shapes: Readonly<Record<string, Shape>>;
    };
    this.#operations = model.operations;
    this.#shapes = model.shapes;
  }

  /** In what a request or an answer differs. */
  differences(operation: string, part: 'input' | 'output', value: unknown): string[] {
    const known = this.#operations[operation];
    if (known === undefined) return [`there is no ${operation}`];
    const shape = known[part]?.shape;
    if (shape === undefined) return isEmpty(value) ? [] : [`${operation} has no ${part}`];
    return this.#differs(shape, value, `${operation}.${part}`);
  }

  /** The errors that an operation has of its own. */
  errorsOf(operation: string): string[] {
    return this.#operations[operation]?.errors?.map(({ shape }) => shape) ?? [];
  }

  #differs(name: string, value: unknown, at: string): string[] {
    const shape = this.#shapes[name];
    if (shape === undefined) return [`${at}: the description has no ${name}`];
    if (shape.type === 'structure') return this.#structure(shape, value, at);
    if (shape.type === 'list') {
      if (!Array.isArray(value)) return [`${at} is no list`];
      return value.flatMap((each, index) =>
        this.#differs(shape.member?.shape ?? '', each, `${at}[${index}]`),
      );
    }
    if (typeof value !== IN_JSON[shape.type]) return [`${at} is ${typeof value}, not ${shape.type}`];
    return typeof value === 'string' && shape.type === 'string' ? text(shape, value, at) : [];
  }

  #structure({ members = {}, required = [] }: Shape, value: unknown, at: string): string[] {
    if (!isRecord(value)) return [`${at} is no object`];
    const given = Object.entries(value).filter(([, each]) => each !== undefined);
    return [
      ...required.filter((each) => value[each] === undefined).map((each) => `${at}.${each} is missing`),
      ...given.flatMap(([field, each]) => {
        const member = members[field];
        return member === undefined
          ? [`${at} has no ${field}`]
          : this.#differs(member.shape, each, `${at}.${field}`);
      }),
    ];
  }
}

function text(shape: Shape, value: string, at: string): string[] {
  const { min = 0, max = Infinity, pattern = '' } = shape;
  return [
    ...(shape.enum !== undefined && !shape.enum.includes(value) ? [`${at} is ${value}`] : []),
    ...(value.length < min || value.length > max ? [`${at} is ${value.length} long`] : []),
    ...(new RegExp(`^(?:${pattern})$`, 'u').test(value) || pattern === '' ? [] : [`${at} is not ${pattern}`]),
  ];
}

function isEmpty(value: unknown): boolean {
  return isRecord(value) && Object.keys(value).length === 0;
}
