import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLogger, errorFields } from '../../../lambdas/compose.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe('the log of a function', () => {
  it('is a line of JSON with level, message, time, function and fields', () => {
    vi.stubEnv('REKEY_FUNCTION', 'revoke-database');
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    createLogger().warn('credential revoked', { handles: 2, note: 'two\nlines' });
    expect(write).toHaveBeenCalledTimes(1);
    const line = String(write.mock.calls[0]?.[0]);
    expect(line.match(/\n/g)).toHaveLength(1);
    expect(JSON.parse(line)).toEqual({
      level: 'WARN',
      message: 'credential revoked',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as unknown,
      service: 'revoke-database',
      handles: 2,
      note: 'two\nlines',
    });
  });

  it('names an error of ours by code, and of any other the name alone', () => {
    const upstream = new TypeError('password=hunter2');
    expect(errorFields(new RekeyError('ERR_UNAVAILABLE', 'no answer', { cause: upstream }))).toEqual({
      error: { code: 'ERR_UNAVAILABLE', message: 'no answer' },
    });
    expect(errorFields(upstream)).toEqual({ error: { name: 'TypeError' } });
  });
});
