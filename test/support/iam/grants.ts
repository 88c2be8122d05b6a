import { at, list, text, type Json, type JsonObject } from '../../infra/app.ts';

/** One action on one resource of a role's policy. */
export interface Grant {
  /** How lists of grants name it: the same in every deployment of a stage. */
  readonly text: string;
  readonly action: string;
  readonly statement: JsonObject;
}

/** Takes a statement apart; `resolve` replaces what only CloudFormation knows. */
export function grantsOf(statement: JsonObject, resolve: (value: Json) => Json): Grant[] {
  const { Action, Resource, Condition, Effect } = statement;
  if (Action === undefined || Resource === undefined) {
    throw new Error(`can't be taken apart into grants: ${JSON.stringify(statement)}`);
  }
  const demanded = Condition === undefined ? '' : ` if ${demands(Condition).join(', ')}`;
  return list(Action).flatMap((action) =>
    list(Resource).map((resource) => ({
      text: `${Effect === 'Deny' ? 'not ' : ''}${text(action)} on ${shown(resource)}${demanded}`,
      action: text(action),
      statement: {
        Effect: text(Effect),
        Action: action,
        Resource: resolve(resource),
        ...(Condition === undefined ? {} : { Condition: spoken(resolve(Condition)) }),
      },
    })),
  );
}

/**
 * The simulator knows no names within `kms:EncryptionContext:…` and drops such keys. Here they go by a key that it
 * takes with any name, in policies and requests alike; nothing of Rekey asks for tags of a principal.
 */
export function spoken<T extends Json>(value: T): T {
  const json = JSON.stringify(value);
  return JSON.parse(
    json.replaceAll('"kms:EncryptionContext:', '"aws:PrincipalTag/kms:EncryptionContext:'),
  ) as T;
}

/** What a condition demands: tags with their values, of other keys the name. */
function demands(condition: Json): string[] {
  return Object.values(condition as JsonObject).flatMap((keys) =>
    Object.entries(keys as JsonObject).map(([key, value]) => {
      if (key === 'kms:ViaService') return `via ${shown(value).split('.')[0] ?? ''}`;
      const [, whose, tag] = /^aws:(Resource|Request)Tag\/(.+)$/.exec(key) ?? [];
      if (tag === undefined) return key;
      return `${whose === 'Request' ? 'requested ' : ''}${tag}=${list(value).map(shown).join('|')}`;
    }),
  );
}

/** A value of a template for people: `<logical id>` where a name comes from CloudFormation. */
function shown(value: Json): string {
  if (typeof value === 'string') return value;
  const [name, args] = Object.entries(value as JsonObject)[0] ?? ['', ''];
  switch (name) {
    case 'Ref':
      return `<${withoutHash(text(args))}>`;
    case 'Fn::GetAtt': {
      const attribute = text(at(args, '1'));
      return `<${withoutHash(text(at(args, '0')))}${attribute === 'Arn' ? '' : attribute.replace(/Arn$/, '')}>`;
    }
    case 'Fn::ImportValue': {
      // ExportsOutput, then Ref or FnGetAtt, the logical id, the attribute and a hash.
      const named = text(args)
        .replace(/^.*:ExportsOutput(?:FnGetAtt|Ref)/, '')
        .slice(0, -8);
      return `<${withoutHash(named).replace(/Arn$/, '')}>`;
    }
    case 'Fn::Join':
      return list(at(args, '1'))
        .map(shown)
        .join(text(at(args, '0')))
        .replace('arn:<AWS::Partition>:', '')
        .replace('<AWS::Region>:<AWS::AccountId>:', '');
    default:
      return JSON.stringify(value);
  }
}

function withoutHash(logicalId: string): string {
  return logicalId.replace(/[0-9A-F]{8}(?=Arn$|$)/, '');
}
