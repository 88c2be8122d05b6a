import { expect, it } from 'vitest';
import { errorOf, problemOf } from '../../../shared/api/problems.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';

const also = [new RekeyError('ERR_POLICY', 'too long', { field: 'policy.interval', remedy: 'shorten it' })];
const refusal = new RekeyError('ERR_DECLARATION', 'no such key', {
  field: 'polcy',
  remedy: 'remove it',
  also,
});

it('a refusal passes from function to function with every mistake', () => {
  const sent: ReturnType<RekeyError['toJSON']> = JSON.parse(JSON.stringify(refusal));
  const received = errorOf(sent);
  expect(received).toBeInstanceOf(RekeyError);
  expect(received.also[0]).toBeInstanceOf(RekeyError);
  expect(received.toJSON()).toEqual(refusal.toJSON());
  expect(problemOf(received)).toMatchObject({
    status: 422,
    field: 'polcy',
    also: [{ field: 'policy.interval' }],
  });
});

it('a refusal with one mistake says nothing of others', () => {
  const [one] = also;
  expect(problemOf(one)).not.toHaveProperty('also');
  expect(one?.toJSON()).not.toHaveProperty('also');
});

it('a code of a newer version is an answer that this one can give', () => {
  const newer: ReturnType<RekeyError['toJSON']> = JSON.parse('{"code":"ERR_OF_TOMORROW","message":"later"}');
  expect(problemOf(errorOf(newer))).toMatchObject({ status: 503, code: 'ERR_UNAVAILABLE', detail: 'later' });
});
