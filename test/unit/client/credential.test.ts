import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { isAuthenticationFailure } from '../../../client/src/authentication.ts';
import { Credential } from '../../../client/src/credential.ts';
import { CredentialError } from '../../../client/src/errors.ts';
import { loginOf } from '../../../client/src/login.ts';

const credential = (value: string): Credential =>
  new Credential({ versionId: 'v1', stages: ['AWSCURRENT'], createdAt: 1, value });

describe('a credential', () => {
  it('shows its value to nobody who does not ask for it by name', () => {
    const secret = credential('{"username":"u","password":"hunter2"}');
    const shown = [
      String(secret),
      inspect(secret, { showHidden: true, depth: 9 }),
      JSON.stringify({ secret }),
      Object.values(secret).join(),
    ];
    expect(shown.join('\n')).not.toContain('hunter2');
    expect(JSON.stringify(secret)).toContain('[redacted]');
    expect(secret.reveal()).toContain('hunter2');
  });

  it('gives the fields of a JSON object', () => {
    const secret = credential('{"username":"u","password":"p"}');
    expect(secret.json()).toEqual({ username: 'u', password: 'p' });
    expect(loginOf(secret)).toEqual({ user: 'u', password: 'p' });
  });

  it.each(['hunter2', '"hunter2"', '["hunter2"]', 'null', '{"password":7,"hunter":2}'])(
    'that has no such field says so without its value: %s',
    (value) => {
      let error: unknown;
      try {
        credential(value).field('password');
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ code: 'ERR_VALUE' });
      expect(inspect(error)).not.toContain('hunter');
    },
  );
});

describe('an error', () => {
  it('is plain in logs, without its cause', () => {
    const error = new CredentialError('ERR_DENIED', 'refused', {
      field: 'f',
      remedy: 'r',
      cause: new Error('x'),
    });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'ERR_DENIED',
      message: 'refused',
      field: 'f',
      remedy: 'r',
    });
  });

  it.each([
    [{ code: '28P01' }, true],
    [{ code: '28000' }, true],
    [{ code: 'ER_ACCESS_DENIED_ERROR' }, true],
    [{ status: 401 }, true],
    [{ statusCode: 401 }, true],
    [{ status: 403 }, false],
    [{ code: 'ECONNREFUSED' }, false],
    [undefined, false],
    ['28P01', false],
  ])('%j is a refusal of the credential: %s', (error, expected) => {
    expect(isAuthenticationFailure(error)).toBe(expected);
  });
});
