import { beforeAll, describe, expect, it } from 'vitest';
import type { IamRequest } from '../../local/gateway/requests.ts';
import { CREDENTIAL_TYPES } from '../../shared/names.ts';
import { at, synthesise, type Stacks } from '../infra/app.ts';
import { Policies } from '../support/iam/policies.ts';
import { readRecording, RECORDINGS, type Recording } from '../support/iam/recording.ts';
import { decryptTable, unseenCalls } from '../support/iam/unseen.ts';
import { UNUSED_GRANTS } from './unused-grants.ts';

/**
 * Holds every AWS call that a function made in the end-to-end runs against the role that the synthesised templates
 * give it (hard decision 15). Runs after the end-to-end tests, whose recordings it reads; what no recorder sees is
 * held in test/infra/unseen.test.ts, what no role may do in test/infra/forbidden.test.ts.
 */

/** Calls that AWS refuses by design, since a condition isn't met: the function answers with what is wrong. */
const REFUSED_BY_DESIGN: readonly { role: string; action: string; resource: RegExp; reason: string }[] = [
  {
    role: 'register-database',
    action: 'secretsmanager:GetSecretValue',
    resource: /:secret:demo\/nothing-/,
    reason: 'a declaration names an administrative secret that does not exist, hence carries no tag',
  },
  {
    role: 'register-database',
    action: 'secretsmanager:GetSecretValue',
    resource: /:secret:demo\/database-admin-/,
    reason: 'somebody has taken the tag off an administrative secret, which `rekey doctor` names',
  },
  {
    role: 'register-database',
    action: 'secretsmanager:GetSecretValue',
    resource: /:secret:legacy\/orders-db-/,
    reason: 'what is only observed is not tagged by its owner yet, which `rekey doctor` names',
  },
  {
    role: 'check-holders',
    action: 'lambda:ListVersionsByFunction',
    resource: /:function:nobody-made-it$/,
    reason: 'a holder is a function that is not there, hence carries no tag, which `rekey doctor` names',
  },
];

/** Templates by the settings of a run; several runs have the same. */
const synthesised = new Map<string, Stacks>();
const deployedWith = (settings: object): Stacks => {
  const key = JSON.stringify(settings);
  const stacks = synthesised.get(key) ?? synthesise({ stage: 'local', settings });
  synthesised.set(key, stacks);
  return stacks;
};

/** `role: grant` of everything that some call has used. */
const used = new Set<string>();
const refused = new Set<string>();

describe.each(RECORDINGS)('in the end-to-end run %s', (name) => {
  let recording: Recording;
  let policies: Policies;

  beforeAll(async () => {
    recording = await readRecording(name);
    policies = new Policies(deployedWith(recording.settings), recording.resources);
  });

  it('every call of a function carries its name', () => {
    expect(recording.calls.length).toBeGreaterThan(50);
    expect(recording.nameless).toEqual([]);
  });

  it('the gateway knows of every call what it asks IAM for', () => {
    const unknown = recording.calls
      .filter(({ asks }) => asks === undefined)
      .map((call) => `${call.function}: ${call.operation} ${call.resource}`);
    expect(unknown, 'teach local/gateway/requests.ts what these operations ask IAM for').toEqual([]);
  });

  it('every call is allowed by the role of the function that made it', async () => {
    const denied = new Set<string>();
    for (const [role, asked] of distinct(policies, recording)) {
      for (const asks of asked) {
        const { allowed, because, by } = await policies.decide(policies.role(role), asks);
        for (const grant of by) used.add(`${role}: ${grant}`);
        if (allowed) continue;
        const known = REFUSED_BY_DESIGN.find(
          (each) =>
            each.role === role && each.action === asks.action && each.resource.test(asks.resource ?? ''),
        );
        if (known !== undefined) refused.add(known.reason);
        else denied.add(`${role}: ${shown(asks)} is ${because}`);
      }
    }
    expect([...denied], 'grant these in infra/permissions.ts, or make the functions do without them').toEqual(
      [],
    );
  });
});

describe('over all end-to-end runs', () => {
  const grants: string[] = [];

  beforeAll(async () => {
    // The sources of signals are secrets of the run that has them.
    const { signals, privateUpstreams } = (await readRecording('operations')).settings;
    const all = { types: [...CREDENTIAL_TYPES], families: true, signals, privateUpstreams };
    const policies = new Policies(deployedWith(all));
    for (const { name, grants: own } of policies.roles.filter(({ ofService }) => ofService)) {
      grants.push(
        ...own.filter(({ text }) => !text.startsWith('not ')).map(({ text }) => `${name}: ${text}`),
      );
    }
    for (const { by, asks } of unseenCalls(policies)) {
      if (typeof by === 'string') continue;
      for (const grant of (await policies.decide(by, asks)).by) used.add(`${by.name}: ${grant}`);
    }
  });

  it('every grant was used, or there is a reason for it in unused-grants.ts', () => {
    const listed = new Set(reasons().map(({ grant }) => grant));
    const unused = grants.filter((grant) => !used.has(grant) && !listed.has(grant));
    expect(
      [...new Set(unused)],
      'take these grants away, let an end-to-end test use them, or say in test/iam/unused-grants.ts why they stay',
    ).toEqual([]);
  });

  it('every reason is for a grant that exists and that nothing used', () => {
    const gone = reasons().filter(({ grant }) => !grants.includes(grant));
    expect(
      gone.map(({ grant }) => grant),
      'no role has these any more: take them off test/iam/unused-grants.ts',
    ).toEqual([]);
    const needless = reasons().filter(({ grant, sometimes }) => !sometimes && used.has(grant));
    expect(
      needless.map(({ grant }) => grant),
      'calls used these: take them off test/iam/unused-grants.ts',
    ).toEqual([]);
  });

  it('every refusal by design was met', () => {
    expect([...refused].toSorted()).toEqual(REFUSED_BY_DESIGN.map(({ reason }) => reason).toSorted());
  });
});

function shown({ action, resource = '*', context = {} }: IamRequest): string {
  const under = Object.entries(context).map(([key, value]) => `${key}=${value.toString()}`);
  return [`${action} on ${resource}`, ...under].join(', ');
}

function reasons(): { grant: string; sometimes: boolean }[] {
  return UNUSED_GRANTS.flatMap(({ grants, sometimes = false }) =>
    Object.entries(grants).flatMap(([role, texts]) =>
      texts.map((text) => ({ grant: `${role}: ${text}`, sometimes })),
    ),
  );
}

/** What each function asked for, once each, with what DynamoDB and a task token ask for besides. */
function distinct(policies: Policies, recording: Recording): Map<string, IamRequest[]> {
  const asked = new Map<string, Map<string, IamRequest>>();
  for (const call of recording.calls) {
    const own = asked.get(call.function) ?? new Map<string, IamRequest>();
    asked.set(call.function, own);
    for (const each of (call.asks ?? []).flatMap((one) => completed(policies, one))) {
      own.set(JSON.stringify(each), each);
    }
  }
  return new Map([...asked].map(([role, own]) => [role, [...own.values()]]));
}

function completed(policies: Policies, asks: IamRequest): IamRequest[] {
  if (asks.action.startsWith('dynamodb:') && asks.resource !== undefined) {
    const table = asks.resource.split('/index/')[0] ?? '';
    return [asks, ...policies.keysOfTable(table).map((key) => decryptTable(key, table))];
  }
  if (asks.action.startsWith('states:SendTask') && asks.resource === undefined) {
    return [{ ...asks, resource: waitingMachine(policies) }];
  }
  return [asks];
}

/** A task token doesn't tell its machine; only one machine hands tokens out. */
function waitingMachine(policies: Policies): string {
  const waiting = policies
    .each('AWS::StepFunctions::StateMachine')
    .filter(([{ Properties }]) =>
      JSON.stringify(at(Properties, 'DefinitionString')).includes('waitForTaskToken'),
    )
    .map(([machine, stack]) => policies.resolver.arn(machine, stack));
  const [machine, ...others] = waiting;
  if (machine === undefined || others.length > 0) {
    throw new Error(`${waiting.length} machines hand out task tokens: the recorder must tell them apart`);
  }
  return machine;
}
