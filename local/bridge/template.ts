import { isRecord, recordOf } from '../json.ts';
import { BRIDGED_TYPES } from './types.ts';

/** A CloudFormation template, as far as the bridge looks at it. */
export interface Template {
  Resources?: Record<string, Resource>;
  Outputs?: Record<string, Record<string, unknown>>;
  [section: string]: unknown;
}

interface Resource {
  Type: string;
  Properties?: Record<string, unknown>;
  DependsOn?: string | string[];
  [attribute: string]: unknown;
}

/** A resource that was taken out; values that only CloudFormation knows stand in its properties as `{ output }`. */
export interface TakenOut {
  readonly logicalId: string;
  readonly type: string;
  readonly properties: Record<string, unknown>;
}

/** Outputs that the bridge adds begin so. */
export const bridgeOutput = 'RekeyBridge';

/**
 * Takes the bridged resources out of a template, in place. What their properties refer to becomes outputs of the
 * stack, so that CloudFormation itself resolves every reference and function.
 */
export function takeOut(template: Template): TakenOut[] {
  const resources = template.Resources ?? {};
  const bridged = Object.entries(resources).filter(
    ([, resource]) => BRIDGED_TYPES[resource.Type] !== undefined,
  );
  const ids = new Set(bridged.map(([id]) => id));
  for (const id of ids) delete resources[id];
  for (const [id, resource] of Object.entries(resources)) {
    dropDependencies(resource, ids);
    const referred = referredIds(resource).find((each) => ids.has(each));
    if (referred !== undefined) {
      throw new Error(
        `${id} refers to ${referred}, whose type the local stack must take out: it can't be deployed`,
      );
    }
  }
  for (const [name, output] of Object.entries(template.Outputs ?? {})) {
    if (referredIds(output).some((each) => ids.has(each))) delete template.Outputs?.[name];
  }
  let count = 0;
  return bridged.map(([logicalId, { Type: type, Properties: properties = {} }]) => {
    const toOutput = (value: unknown): unknown => {
      const name = `${bridgeOutput}${count++}`;
      (template.Outputs ??= {})[name] = { Value: value };
      return { output: name };
    };
    return { logicalId, type, properties: recordOf(mapFunctions(properties, toOutput)) };
  });
}

/** Puts the values of the stack's outputs into the properties of a resource that was taken out. */
export function fillIn(taken: TakenOut, outputs: Readonly<Record<string, string>>): Record<string, unknown> {
  const fill = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(fill);
    if (!isRecord(value)) return value;
    const name = value['output'];
    if (typeof name === 'string' && name.startsWith(bridgeOutput)) return outputs[name];
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each)]));
  };
  return recordOf(fill(taken.properties));
}

function mapFunctions(value: unknown, replace: (call: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => mapFunctions(each, replace));
  if (!isRecord(value)) return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && (keys[0] === 'Ref' || keys[0]?.startsWith('Fn::') === true)) return replace(value);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, mapFunctions(each, replace)]));
}

function dropDependencies(resource: Resource, ids: ReadonlySet<string>): void {
  if (resource.DependsOn === undefined) return;
  const kept = [resource.DependsOn].flat().filter((id) => !ids.has(id));
  if (kept.length === 0) delete resource.DependsOn;
  else resource.DependsOn = kept;
}

function referredIds(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(referredIds);
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, each]) => {
    if (key === 'Ref' && typeof each === 'string') return [each];
    if (key === 'Fn::GetAtt') return [String(Array.isArray(each) ? each[0] : String(each).split('.')[0])];
    if (key === 'Fn::Sub') {
      const text = String(Array.isArray(each) ? each[0] : each);
      const names = [...text.matchAll(/\$\{([A-Za-z0-9]+)/g)].map((match) => match[1] ?? '');
      return [...names, ...(Array.isArray(each) ? referredIds(each[1]) : [])];
    }
    return referredIds(each);
  });
}
