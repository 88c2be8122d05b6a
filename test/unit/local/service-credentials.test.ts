import { describe, expect, test } from 'vitest';
import { IamRequests } from '../../../local/gateway/iam-requests.ts';
import { ServiceCredentials } from '../../../local/gateway/service-credentials.ts';

const UserName = 'shop-models';
const ServiceName = 'bedrock.amazonaws.com';

describe('Credentials of one service, as the gateway plays them for IAM', () => {
  const played = (...users: string[]) => {
    const credentials = new ServiceCredentials();
    const call = (operation: string, input: object = {}): { status: number; text: string } => {
      const answer = credentials.answer({ service: 'iam', operation }, { UserName, ...input });
      return { status: answer?.status ?? 0, text: answer?.body.toString() ?? '' };
    };
    for (const user of users) call('CreateUser', { UserName: user });
    const create = (more: object = {}): { id: string; secret: string } => {
      const { text } = call('CreateServiceSpecificCredential', { ServiceName, ...more });
      const part = (name: string): string => new RegExp(`<${name}>(.*)</${name}>`).exec(text)?.[1] ?? '';
      return { id: part('ServiceSpecificCredentialId'), secret: part('ServiceCredentialSecret') };
    };
    return { credentials, call, create };
  };

  test('work until they are made inactive or deleted, and again when they are made active', () => {
    const { credentials, call, create } = played(UserName);
    const { id: ServiceSpecificCredentialId, secret } = create();
    const set = (Status: string) =>
      call('UpdateServiceSpecificCredential', { ServiceSpecificCredentialId, Status }).status;
    expect([credentials.takes(secret), credentials.countOf(UserName)]).toEqual([true, 1]);
    expect([set('Inactive'), credentials.takes(secret)]).toEqual([200, false]);
    expect([set('Active'), credentials.takes(secret)]).toEqual([200, true]);
    const end = () => call('DeleteServiceSpecificCredential', { ServiceSpecificCredentialId }).status;
    expect([end(), credentials.takes(secret), end()]).toEqual([200, false, 404]);
  });

  test('are shown without their value', () => {
    const { call, create } = played(UserName);
    const { id, secret } = create({ CredentialAgeDays: '30' });
    const { text } = call('ListServiceSpecificCredentials', { ServiceName });
    expect(text).toContain(id);
    expect(text).toContain('<ExpirationDate>');
    expect(text).not.toContain(secret);
  });

  test('are two for a user, of Bedrock alone, and for users that there are', () => {
    const { call, create } = played(UserName);
    create();
    create();
    const made = (more: object) => call('CreateServiceSpecificCredential', { ServiceName, ...more });
    expect(made({})).toMatchObject({ status: 409, text: expect.stringContaining('LimitExceeded') });
    expect(made({ ServiceName: 'codecommit.amazonaws.com' }).text).toContain('ServiceNotSupported');
    expect(made({ UserName: 'nobody' }).text).toContain('NoSuchEntity');
  });

  test('are no matter of other calls, which go on to the emulator', () => {
    const { call } = played();
    for (const operation of ['CreateUser', 'ListAccessKeys', 'TagUser'])
      expect(call(operation).status).toBe(0);
  });

  test('bring the condition key along by which a role may make them for Bedrock alone', () => {
    const [asked] = new IamRequests().of('CreateServiceSpecificCredential', { UserName, ServiceName });
    expect(asked?.context).toMatchObject({ 'iam:ServiceSpecificCredentialServiceName': ServiceName });
  });
});
