import { describe, expect, it } from 'vitest';
import { CREDENTIAL_TYPES, FUNCTIONS, ROOT_TYPES, TYPED_ROLES, typedFunction } from '../../shared/names.ts';
import { list, statementsByFunction, synthesise, text, type Statement } from './app.ts';

/** The administrative credentials that Rekey itself uses (C9): who may read and who may replace them. */
describe.each(ROOT_TYPES)('roots of the type %s', (type) => {
  const roles = statementsByFunction(
    synthesise({ settings: { types: [...CREDENTIAL_TYPES], adoptPrefixes: ['admin/'] } }),
  );
  const allows = (name: string, action: string): Statement[] =>
    (roles[name] ?? []).filter(({ Effect, Action }) => Effect === 'Allow' && list(Action).includes(action));
  /** Whether a statement reaches a secret of the type: by its tag, or without one. */
  const reaches = ({ Condition }: Statement): boolean => {
    const types = list(Condition?.['StringEquals']?.['aws:ResourceTag/rekey:type']).map(text);
    const admins = list(Condition?.['StringEquals']?.['aws:ResourceTag/rekey:admin']).map(text);
    return types.includes(type) || (types.length === 0 && admins.length === 0);
  };
  const who = (action: string): string[] =>
    FUNCTIONS.filter((name) => allows(name, action).some(reaches)).toSorted();

  it('are not part of a deployment that does not ask for them', () => {
    const usual = statementsByFunction(synthesise());
    expect(Object.keys(usual).filter((name) => typedFunction(name as 'agent-api')?.type === type)).toEqual(
      [],
    );
  });

  it('get a value from functions of their own type alone, and a label from those that move one', () => {
    expect(who('secretsmanager:PutSecretValue')).toEqual([`replace-${type}`, `rotate-${type}`]);
    expect(who('secretsmanager:UpdateSecretVersionStage')).toEqual([
      'begin-rotation',
      `reconcile-${type}`,
      `register-${type}`,
      `replace-${type}`,
      `rollback-${type}`,
      `rotate-${type}`,
    ]);
  });

  it('are read by functions of their type, and of the type that they administer', () => {
    const own = TYPED_ROLES.map((role) => `${role}-${type}`).toSorted();
    // By its condition this one reads no secret that is tagged as administrative.
    expect(who('secretsmanager:GetSecretValue')).toEqual([...own, 'take-inventory'].toSorted());
    const inventory = allows('take-inventory', 'secretsmanager:GetSecretValue');
    for (const { Condition } of inventory) {
      expect(Condition?.['Null']?.['aws:ResourceTag/rekey:admin']).toBe('true');
    }
  });

  it('are neither created nor deleted by Rekey', () => {
    const made = FUNCTIONS.flatMap((name) => allows(name, 'secretsmanager:CreateSecret')).flatMap(
      ({ Condition }) => list(Condition?.['StringEquals']?.['aws:RequestTag/rekey:type']).map(text),
    );
    expect(made).toContain('llm-key');
    expect(made).not.toContain(type);
    expect(allows(`register-${type}`, 'secretsmanager:CreateSecret')).toEqual([]);
    expect(who('secretsmanager:DeleteSecret')).toEqual([]);
  });

  it('give their functions no secret of agents, and no administrator that is not a root', () => {
    for (const role of TYPED_ROLES) {
      const reads = allows(`${role}-${type}`, 'secretsmanager:GetSecretValue');
      const admins = reads.flatMap(({ Condition }) =>
        list(Condition?.['StringEquals']?.['aws:ResourceTag/rekey:admin']),
      );
      // What administers them: of a database a login that need be nobody's root.
      const own = type === 'database-root' ? [type] : [];
      const stages = reads
        .filter(({ Condition }) => Condition?.['StringEquals']?.['aws:ResourceTag/rekey:admin'] === undefined)
        .map(({ Condition }) => Condition?.['StringEquals']?.['aws:ResourceTag/rekey:stage']);
      expect([role, admins.map(text), stages.every((stage) => stage !== undefined)]).toEqual([
        role,
        own,
        true,
      ]);
    }
  });
});
