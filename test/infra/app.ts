import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { readSettings, type SettingsInput } from '../../infra/config.ts';
import { FUNCTIONS, typedFunction } from '../../shared/names.ts';
import { addRekey } from '../../infra/deployment.ts';

export const root = join(import.meta.dirname, '..', '..');

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

/** A resource of a synthesised template. */
export interface Resource {
  readonly logicalId: string;
  readonly Type: string;
  readonly Properties: JsonObject;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
}

/** What a stack exports to others. */
export interface Output {
  readonly Value: Json;
  readonly Export?: { readonly Name: string };
}

export interface Stack {
  readonly name: string;
  readonly resources: readonly Resource[];
  readonly outputs: readonly Output[];
  readonly parameters: JsonObject;
  readonly rules: JsonObject;
  readonly terminationProtection: boolean;
}

/** Every stack of the app, by its name without prefix and stage. */
export type Stacks = Readonly<Record<string, Stack>>;

/** Synthesises the app in this process, with the flags of cdk.json. */
export function synthesise(input: SettingsInput = {}): Stacks {
  const outdir = mkdtempSync(join(tmpdir(), 'rekey-synth-'));
  try {
    const cdkJson = readJson<{ context: Record<string, unknown> }>(join(root, 'cdk.json'));
    const app = new App({ context: cdkJson.context, outdir, analyticsReporting: false });
    const settings = readSettings(withTypes(input));
    addRekey(app, settings);
    const assembly = app.synth();
    return Object.fromEntries(
      assembly.stacks.map((stack) => [
        stack.stackName.slice(`rekey-${settings.stage}-`.length),
        {
          name: stack.stackName,
          ...contentOf(readJson(stack.templateFullPath)),
          terminationProtection: stack.terminationProtection === true,
        },
      ]),
    );
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

/** Databases only, where a test says nothing else: what holds for one type holds for each. */
function withTypes(input: SettingsInput): SettingsInput {
  const { settings } = input;
  if (settings !== undefined && typeof settings !== 'object') return input;
  return { ...input, settings: { types: ['database'], ...settings } };
}

/** The functions that `synthesise` deploys where nothing is said of types. */
export const DEPLOYED = FUNCTIONS.filter(
  (name) =>
    (typedFunction(name)?.type ?? 'database') === 'database' &&
    ![
      'serve-directory',
      'issue-certificates',
      'revoke-certificates',
      'refresh-families',
      'receive-signal',
      'observe-uses',
      'observe-database-logs',
    ].includes(name),
);

export function ofType(stacks: Stacks, type: string): Resource[] {
  return Object.values(stacks).flatMap(({ resources }) => resources.filter((each) => each.Type === type));
}

/** The resource of a stack by its logical id. */
export function resource(stacks: Stacks, stack: string, logicalId: string): Resource {
  const found = stacks[stack]?.resources.find((each) => each.logicalId === logicalId);
  if (found === undefined) throw new Error(`${stack} has no resource ${logicalId}`);
  return found;
}

function contentOf(template: {
  Resources: Record<string, Omit<Resource, 'logicalId'>>;
  Outputs?: Record<string, Output>;
  Parameters?: JsonObject;
  Rules?: JsonObject;
}): Pick<Stack, 'resources' | 'outputs' | 'parameters' | 'rules'> {
  return {
    resources: Object.entries(template.Resources).map(([logicalId, each]) => ({ ...each, logicalId })),
    outputs: Object.values(template.Outputs ?? {}),
    parameters: template.Parameters ?? {},
    rules: template.Rules ?? {},
  };
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

/** Whatever is given, as a list. */
export function list(value: Json | undefined): Json[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** A statement of a policy. */
export interface Statement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  /** Only in a policy of a resource. */
  readonly Principal?: Json;
  readonly Action: string | string[];
  readonly Resource: Json;
  readonly Condition?: Record<string, Record<string, string | string[]>>;
}

/** Statements of a policy. */
export function statementsOf(policy: Resource | undefined): Statement[] {
  // A template is read as JSON; a statement's form is CloudFormation's, checked by cfn-lint.
  return list(at(policy?.Properties, 'PolicyDocument', 'Statement')) as unknown as Statement[];
}

/** Statements of the role of each function, by the function's name. */
export function statementsByFunction(stacks: Stacks): Readonly<Record<string, readonly Statement[]>> {
  // A managed one is what a role's own policy has no room for.
  const policies = ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'].flatMap((type) => ofType(stacks, type));
  return Object.fromEntries(
    ofType(stacks, 'AWS::Lambda::Function').map((each) => {
      const name = at(each.Properties, 'Environment', 'Variables', 'REKEY_FUNCTION');
      const role = JSON.stringify(at(each.Properties, 'Role', 'Fn::GetAtt', '0'));
      const own = policies.filter(
        (policy) => JSON.stringify(at(policy.Properties, 'Roles', '0', 'Ref')) === role,
      );
      return [text(name), own.flatMap(statementsOf)];
    }),
  );
}

/** A value where it is text. */
export function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** Names of functions in a list of resources. */
export function functionNames(functions: readonly Resource[]): string[] {
  return functions
    .map(({ Properties }) => text(at(Properties, 'Environment', 'Variables', 'REKEY_FUNCTION')))
    .toSorted();
}

/** The value at a path; undefined where there is none. */
export function at(value: Json | undefined, ...path: string[]): Json | undefined {
  let found = value;
  for (const name of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = Array.isArray(found) ? found[Number(name)] : found[name];
  }
  return found;
}
