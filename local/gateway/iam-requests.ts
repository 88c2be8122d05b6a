import { textOf } from '../json.ts';
import { localAccountId } from '../settings.ts';
import type { IamRequest } from './requests.ts';

type Input = Readonly<Record<string, unknown>>;

/**
 * What IAM is asked about calls of IAM itself: they are about a user, whose tags conditions of policies ask for. It
 * remembers tags of the users that it saw being made.
 */
export class IamRequests {
  readonly #tags = new Map<string, Record<string, string>>();

  of(operation: string, input: Input): readonly IamRequest[] {
    // Asked by the key alone, it knows no resource.
    if (operation === 'GetAccessKeyLastUsed') return [{ action: 'iam:GetAccessKeyLastUsed' }];
    const user = textOf(input['UserName']) ?? '';
    const keys = [...membersOf(input, 'Tags', '.Key'), ...membersOf(input, 'TagKeys', '')];
    const tags = Object.entries(this.#tags.get(user) ?? {});
    const service = textOf(input['ServiceName']);
    return [
      {
        action: `iam:${operation}`,
        resource: `arn:aws:iam::${localAccountId}:user/${user}`,
        context: {
          ...Object.fromEntries(tags.map(([key, value]) => [`aws:ResourceTag/${key}`, value])),
          ...(keys.length === 0 ? {} : { 'aws:TagKeys': keys }),
          ...(service === undefined ? {} : { 'iam:ServiceSpecificCredentialServiceName': service }),
        },
      },
    ];
  }

  /** Learns what a call that succeeded has changed. */
  learn(operation: string, input: Input): void {
    const user = textOf(input['UserName']) ?? '';
    if (operation !== 'CreateUser' && operation !== 'TagUser') return;
    const values = membersOf(input, 'Tags', '.Value');
    const tags = membersOf(input, 'Tags', '.Key').map((name, at) => [name, values[at] ?? '']);
    this.#tags.set(user, { ...this.#tags.get(user), ...Object.fromEntries(tags) });
  }
}

/** Members of a list in a form, in order: `Tags.member.1.Key`, … */
function membersOf(input: Input, list: string, field: string): string[] {
  const members = [];
  for (let at = 1; ; at++) {
    const value = input[`${list}.member.${at}${field}`];
    if (typeof value !== 'string') return members;
    members.push(value);
  }
}
