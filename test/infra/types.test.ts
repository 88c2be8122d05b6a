import { describe, expect, it } from 'vitest';
import {
  CREDENTIAL_TYPES,
  DATABASE_TYPES,
  FUNCTIONS,
  IDENTITY_TYPES,
  TYPED_ROLES,
  typedFunction,
} from '../../shared/names.ts';
import { at, functionNames, list, ofType, statementsByFunction, synthesise, text, type Json } from './app.ts';

const stacks = synthesise({
  settings: {
    types: [...CREDENTIAL_TYPES],
    families: true,
    privateUpstreams: ['10.0.0.5'],
    uses: {
      databaseLogs: [{ logGroupArn: 'arn:aws:logs:eu-central-1:111122223333:log-group:/aws/rds/orders' }],
    },
    signals: {
      siem: { secretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:signals/siem-a1b2c3' },
    },
  },
});
const functions = ofType(stacks, 'AWS::Lambda::Function');
const roles = statementsByFunction(stacks);

/** Resources that a type adds to the stack with its functions, at most. */
const ONE_TYPE = 50;

/** Each condition of a role on the tag of a credential type. */
function typesOf(name: string, tag: string): Json[] {
  return (roles[name] ?? []).flatMap(({ Condition }) =>
    list(Condition?.['StringEquals']?.[`aws:ResourceTag/${tag}`]),
  );
}

function environmentOf(name: string): Json | undefined {
  const found = functions.find(
    ({ Properties }) => functionNames([{ ...functions[0], Properties }] as never)[0] === name,
  );
  return at(found?.Properties, 'Environment', 'Variables');
}

describe('credential types', () => {
  it('have each a function of their own for every role, with an alarm', () => {
    expect(functionNames(functions)).toEqual(FUNCTIONS.toSorted());
    const alarms = ofType(stacks, 'AWS::CloudWatch::Alarm').map(({ Properties }) =>
      JSON.stringify(Properties),
    );
    for (const { logicalId } of functions) {
      expect([logicalId, alarms.some((each) => each.includes(logicalId))]).toEqual([logicalId, true]);
    }
  });

  it('reach no secret and no administrator of another type', () => {
    for (const name of FUNCTIONS) {
      const typed = typedFunction(name);
      if (typed === undefined) continue;
      const reached = new Set([...typesOf(name, 'rekey:type'), ...typesOf(name, 'rekey:admin')].map(text));
      expect([name, [...reached].filter((type) => type !== typed.type)]).toEqual([name, []]);
    }
  });

  it('let nobody else join the network of databases, and name private upstreams to all but these and identities', () => {
    for (const type of CREDENTIAL_TYPES) {
      for (const role of TYPED_ROLES) {
        const environment = environmentOf(`${role}-${type}`);
        const hosts = at(environment, 'REKEY_PRIVATE_UPSTREAMS');
        const none = [...DATABASE_TYPES, ...IDENTITY_TYPES].includes(type);
        expect([role, type, hosts]).toEqual([role, type, none ? undefined : '10.0.0.5']);
      }
    }
  });

  it('are known to the API with the functions that register and look, and to the machines with all the others', () => {
    const api = JSON.stringify(environmentOf('control-api'));
    const machines = JSON.stringify(ofType(stacks, 'AWS::StepFunctions::StateMachine'));
    for (const type of CREDENTIAL_TYPES) {
      expect(api).toContain(`${type}=`);
      for (const role of ['verify', 'retire', 'rollback', 'reconcile', 'revoke', 'replace']) {
        const placeholder = `${role}-${type}`.replace(/-(.)/g, (_match, letter: string) =>
          letter.toUpperCase(),
        );
        expect(machines).toContain(`'${type}': '\${${placeholder}}'`);
      }
    }
  });

  it('leave every stack room for one more type under the 500 resources that CloudFormation takes', () => {
    for (const { name, resources } of Object.values(stacks)) {
      expect([name, resources.length + ONE_TYPE <= 500]).toEqual([name, true]);
    }
  });
});
