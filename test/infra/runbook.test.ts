import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OUTPUT, TAG } from '../../shared/names.ts';
import { snapshotKey } from '../../shared/adapters/s3-snapshots.ts';
import { Guide } from '../support/guide.ts';
import { ofType, root, synthesise, text } from './app.ts';

const ID = '8e532557-c95d-4300-8581-2fc3d882555b';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A shell in which `aws` answers by the lines of a script and says how it was called. */
class Shell {
  readonly #dir = mkdtempSync(join(tmpdir(), 'rekey-runbook-'));

  /** What `aws` does by its first two words, as bash. */
  constructor(arms: Readonly<Record<string, string>>) {
    mkdirSync(join(this.#dir, 'tmp'));
    const cases = Object.entries(arms).map(([command, answer]) => `'${command}') ${answer} ;;`);
    const lines = [`printf '%s\\n' "$*" >> calls`, 'case "$1 $2" in', ...cases, '*) exit 9 ;;', 'esac'];
    const script = ['#!/bin/bash', 'last=${@: -1} here=$PWD', `cd '${this.#dir}'`, ...lines].join('\n');
    writeFileSync(join(this.#dir, 'aws'), script, { mode: 0o755 });
  }

  put(name: string, content: string): void {
    mkdirSync(dirname(join(this.#dir, name)), { recursive: true });
    writeFileSync(join(this.#dir, name), content);
  }

  type(script: string) {
    const { stdout, stderr } = spawnSync('bash', ['-c', script], {
      cwd: this.#dir,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${this.#dir}:${process.env['PATH']}`, TMPDIR: join(this.#dir, 'tmp') },
    });
    const calls = join(this.#dir, 'calls');
    return {
      stdout: stdout.trim().split('\n'),
      stderr,
      calls: existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : [],
      files: readdirSync(join(this.#dir, 'tmp')),
      file: (name: string) => readFileSync(join(this.#dir, name), 'utf8'),
    };
  }

  close(): void {
    rmSync(this.#dir, { recursive: true });
  }
}

describe('the runbook gives a dead letter of a function again', () => {
  const message = (body: object, more: object = {}): string =>
    JSON.stringify({ Messages: [{ ReceiptHandle: 'receipt-1', Body: JSON.stringify(body), ...more }] });
  const failed = message({
    requestContext: {
      functionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:rekey-prod-usage-Collect:7',
      condition: 'RetriesExhausted',
    },
    requestPayload: { action: 'judge-uses' },
  });
  let blocks: string[];
  let shell: Shell;

  beforeEach(async () => {
    blocks = await Guide.shellOf('runbook.md', 'Dead letters');
    shell = new Shell({
      'sqs receive-message': 'cat received',
      'lambda invoke':
        'cp "$here/payload" sent; echo \'{"errorMessage":"it says"}\' > "$here/$last"; cat failure',
      'sqs delete-message': 'true',
      'sqs get-queue-attributes': 'echo arn:of:queue',
      'sqs start-message-move-task': 'true',
      'sqs list-message-move-tasks': 'echo COMPLETED None',
    });
    shell.put('failure', 'None\n');
  });
  afterEach(() => shell.close());

  const work = () => `${blocks[0]?.replace("queue='…'", "queue='https://queue'")}\n${blocks[1]}`;
  const called = ({ calls }: { calls: string[] }) => calls.map((call) => call.split(' ')[1]);

  it('by a call with what it has failed with, without a repetition, and deletes it after a good answer', () => {
    shell.put('received', failed);
    const after = shell.type(work());
    expect(called(after)).toEqual(['receive-message', 'invoke', 'delete-message']);
    expect(after.calls[1]).toContain(
      '--function-name arn:aws:lambda:eu-central-1:111122223333:function:rekey-prod-usage-Collect:live ',
    );
    expect(after.calls[1]).toContain('--cli-read-timeout 1000 ');
    expect(after.calls[2]).toContain('--queue-url https://queue --receipt-handle receipt-1');
    expect(JSON.parse(after.file('sent'))).toEqual({ action: 'judge-uses' });
    expect(after.files).toEqual([]);
  });

  it('but leaves it where the function has failed again', () => {
    shell.put('received', failed);
    shell.put('failure', 'Unhandled\n');
    const after = shell.type(work());
    expect(called(after)).toEqual(['receive-message', 'invoke']);
    expect(after.stdout).toEqual(['NOT done: the message stays']);
    expect(after.stderr).toContain('it says');
    expect(after.files).toEqual([]);
  });

  it('but leaves it where the call itself has failed', () => {
    shell.put('received', failed);
    shell.put('failure', '');
    const after = shell.type(work());
    expect(called(after)).toEqual(['receive-message', 'invoke']);
    expect(after.stdout).toEqual(['NOT done: the message stays']);
  });

  it('but calls nothing where no message is there', () => {
    shell.put('received', '');
    const after = shell.type(work());
    expect(called(after)).toEqual(['receive-message']);
    expect(after.stderr).toContain('no message');
    expect(after.files).toEqual([]);
  });

  it('but calls nothing with what EventBridge could not deliver, and shows it', () => {
    const target = { StringValue: 'arn:aws:lambda:eu-central-1:111122223333:function:f:live' };
    shell.put('received', message({ source: 'aws.health' }, { MessageAttributes: { TARGET_ARN: target } }));
    const after = shell.type(work());
    expect(called(after)).toEqual(['receive-message']);
    expect(after.stdout).toEqual(['NOT done: the message stays']);
    for (const shown of ['no request payload', 'aws.health', target.StringValue, 'receipt-1'])
      expect(after.stderr).toContain(shown);
    expect(after.files).toEqual([]);
  });

  it('and says what has become of what is moved back to a queue', () => {
    const after = shell.type(`sleep() { :; }\nqueue=https://queue\n${blocks[2]}`);
    expect(called(after)).toEqual([
      'get-queue-attributes',
      'start-message-move-task',
      'list-message-move-tasks',
    ]);
    expect(after.stdout).toEqual(['COMPLETED None']);
  });
});

describe('the runbook starts an emergency without the control API', () => {
  let blocks: string[];
  let shell: Shell;

  const tagged = (tag: string, value: string) => `[[ "$*" == *"'${tag}'"* ]] && { echo '${value}'; exit; }`;
  const open = (
    id: string,
    type: string,
    secret = `${tagged(TAG.credential, id)}; ${tagged(TAG.type, type)}`,
  ): Shell =>
    new Shell({
      'secretsmanager describe-secret': secret,
      'cloudformation describe-stacks': `[[ "$*" == *"'${OUTPUT.emergency}'"* ]] && echo arn:of:machine`,
      'cloudformation describe-stack-resources': 'echo the-bucket',
      's3 sync': '[ -d bucket ] && cp -R bucket/snapshots/. "$4" || true',
      'sts get-caller-identity': 'echo arn:of:me',
      'stepfunctions start-execution': `printf '%s' "$8" > input; echo "arn:of:execution:$6"`,
    });
  const snapshot = (id: string, head: object): void =>
    shell.put(`bucket/${snapshotKey('default', id)}`, JSON.stringify({ id, ...head }));
  const type = () =>
    shell.type(
      (blocks[0] ?? '').replace("secret='…'", "secret='agents/orders'").replace("stage='…'", "stage='prod'"),
    );

  beforeEach(async () => {
    blocks = await Guide.shellOf('runbook.md', 'Api errors');
  });
  afterEach(() => shell.close());

  it('with the id and the type that the secret is tagged with, and prints the execution', () => {
    shell = open(ID, 'llm-key');
    const after = type();
    const execution = after.stdout.at(-1) ?? '';
    expect(execution.startsWith('arn:of:execution:')).toBe(true);
    expect(execution.slice('arn:of:execution:'.length)).toMatch(UUID);
    expect(JSON.parse(after.file('input'))).toEqual({
      incidentId: expect.stringMatching(/^by-hand-\d{8}T\d{6}Z$/),
      reason: expect.stringMatching(/./),
      actor: 'arn:of:me',
      startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/),
      replace: true,
      credentials: [{ credentialId: ID, type: 'llm-key' }],
    });
    expect(after.calls.some((call) => call.startsWith('s3 '))).toBe(false);
  });

  it('with what the snapshots say where the tags are gone, of the credential that has the secret now', () => {
    shell = open('None', 'None');
    snapshot(ID, { type: 'cloud-key', secretName: 'agents/orders', status: 'active' });
    snapshot(ID.replace('8', '9'), {
      type: 'database',
      secretName: 'agents/orders',
      status: 'unregistered',
    });
    snapshot(ID.replace('8', '7'), { type: 'database', secretName: 'agents/other', status: 'active' });
    const after = type();
    expect(JSON.parse(after.file('input'))).toMatchObject({
      credentials: [{ credentialId: ID, type: 'cloud-key' }],
    });
    expect(after.files).toEqual([]);
  });

  it('without a type, which the machine asks for, where its tag alone is gone', () => {
    shell = open(ID, 'None');
    const after = type();
    expect((JSON.parse(after.file('input')) as { credentials: unknown }).credentials).toEqual([
      { credentialId: ID },
    ]);
  });

  it('with what the snapshots say where the secret itself is gone', () => {
    shell = open('', '', 'echo ResourceNotFoundException >&2; exit 254');
    snapshot(ID, { type: 'cloud-key', secretName: 'agents/orders', status: 'active' });
    const after = type();
    expect(after.stderr).not.toContain('NOT started');
    expect(JSON.parse(after.file('input'))).toMatchObject({
      credentials: [{ credentialId: ID, type: 'cloud-key' }],
    });
  });

  it('and starts nothing where nothing says which credential it is', () => {
    shell = open('None', 'None');
    const after = type();
    expect(after.stderr).toContain('NOT started');
    expect(after.calls.some((call) => call.includes('start-execution'))).toBe(false);
  });
});

describe('the page on forensics asks the archive by the AWS CLI', () => {
  const queries = ofType(synthesise({ stage: 'prod' }), 'AWS::Athena::NamedQuery');

  it('with the query that is deployed, in its workgroup and database, and its five parameters in their order', async () => {
    const sql = readFileSync(join(root, 'infra', 'queries', 'who-used-a-credential.sql'), 'utf8');
    const named = queries.find(({ Properties }) => Properties['QueryString'] === sql)?.Properties ?? {};
    const [name, database, group] = ['Name', 'Database', 'WorkGroup'].map((each) => text(named[each]));
    const shell = new Shell({
      'athena list-named-queries': `[[ "$*" == *'--work-group ${group} '* ]] && echo 'id-1\tid-2'`,
      'athena batch-get-named-query': `[[ "$*" == *"Name=='${name}'"* ]] && cat sql`,
      'athena start-query-execution': `printf '%s\n' "\${@:3}" > started; echo execution-1`,
      'athena get-query-execution': 'echo SUCCEEDED',
    });
    try {
      shell.put('sql', sql);
      const [block = ''] = await Guide.shellOf('forensics.md', 'Who used a credential between two times');
      const after = shell.type(block);
      expect(after.stdout).toEqual(['SUCCEEDED']);
      const started = after.file('started');
      for (const words of [
        `--work-group\n${group}\n--query-execution-context\nDatabase=${database}\n--query-string\n${sql}`,
        "--execution-parameters\n'2026-08-31'\n'2026-09-01'\n'orders-db'\n'2026-09-01T08:00:00.000Z'\n'2026-09-01T12:00:00.000Z'\n--query",
      ])
        expect(started).toContain(words);
    } finally {
      shell.close();
    }
  });
});
