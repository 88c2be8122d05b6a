import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AwsClient } from 'aws4fetch';
import type { World } from '../../../local/demo/world.ts';
import type { IamRequest } from '../../../local/gateway/requests.ts';
import { root } from '../../infra/app.ts';

/** The end-to-end files that leave a recording; the test of the roles wants one of each. */
export const RECORDINGS = ['main-job', 'operations', 'adoption', 'quickstart', 'agents', 'keys'] as const;
export type RecordingName = (typeof RECORDINGS)[number];

/** What the functions of one end-to-end run asked AWS for. */
export interface Recording {
  /** Each different call once. */
  readonly calls: readonly FunctionCall[];
  /** Names that CloudFormation gave, by stack and logical id. */
  readonly resources: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** What was deployed, as settings. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Calls that were signed with the keys of a function that names itself elsewhere, yet not there. */
  readonly nameless: readonly string[];
}

export interface FunctionCall {
  readonly function: string;
  readonly operation: string;
  readonly resource: string;
  /** Absent where the gateway doesn't know what the operation asks IAM for. */
  readonly asks?: readonly IamRequest[];
}

const folder = join(root, 'test', 'iam', 'recordings');
const file = (name: RecordingName): string => join(folder, `${name}.json`);

/** Removes what an earlier run has left, so that a run that fails leaves nothing to be mistaken for its own. */
export async function forgetRecording(name: RecordingName): Promise<void> {
  await rm(file(name), { force: true });
}

/** Keeps the calls of a world, if it came up, for the test of the roles, which runs after the end-to-end tests. */
export async function keepRecording(name: RecordingName, world: World | undefined): Promise<void> {
  if (world === undefined) return;
  const all = world.stack.gateway.recorder.calls();
  if (all[0]?.seq !== 1) throw new Error('the recorder has dropped calls: raise its limit');
  const calls = new Map<string, FunctionCall>();
  const sessions = new Map<string, string>();
  for (const { function: caller, service, operation, resource = '', session, asks } of all) {
    if (caller === undefined) continue;
    if (session !== undefined) sessions.set(session, caller);
    const call: FunctionCall = {
      function: caller,
      operation: `${service} ${operation}`,
      resource,
      ...(asks === undefined ? {} : { asks }),
    };
    calls.set(JSON.stringify([caller, operation, asks ?? resource]), call);
  }
  const nameless = all
    .filter((call) => call.function === undefined && sessions.has(call.session ?? ''))
    .map(
      (call) =>
        `${sessions.get(call.session ?? '') ?? ''}: ${call.service} ${call.operation} ${call.resource ?? ''}`,
    );
  const recording: Recording = {
    calls: [...calls.values()],
    resources: await physicalNames(world),
    settings: world.settings,
    nameless: [...new Set(nameless)],
  };
  await mkdir(folder, { recursive: true });
  await writeFile(file(name), JSON.stringify(recording, null, 1));
}

/** @throws Error where that end-to-end file has not run to its end in this checkout. */
export async function readRecording(name: RecordingName): Promise<Recording> {
  const text = await readFile(file(name), 'utf8').catch((cause: unknown) => {
    throw new Error(
      `no recording of ${name}.e2e.test.ts: its run failed, or there was none; run \`npm test -- e2e fleet iam\``,
      { cause },
    );
  });
  return JSON.parse(text) as Recording;
}

async function physicalNames(world: World): Promise<Record<string, Record<string, string>>> {
  const { stack } = world;
  const client = new AwsClient({ ...stack.clientConfig.credentials, region: stack.region, retries: 3 });
  const names: Record<string, Record<string, string>> = {};
  for (const stackName of Object.keys(world.deployment.outputs)) {
    const answer = await client.fetch(stack.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        Action: 'DescribeStackResources',
        Version: '2010-05-15',
        StackName: stackName,
      }).toString(),
      aws: { service: 'cloudformation' },
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the resources of ${stackName}: ${text}`);
    const pairs = text.matchAll(
      /<LogicalResourceId>(.*?)<\/LogicalResourceId><PhysicalResourceId>(.*?)<\/PhysicalResourceId>/g,
    );
    names[stackName] = Object.fromEntries([...pairs].map((pair) => [pair[1] ?? '', pair[2] ?? '']));
  }
  return names;
}
