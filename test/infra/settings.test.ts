import { describe, expect, it } from 'vitest';
import { readSettings, SettingsError } from '../../infra/config.ts';

describe('settings of a stage', () => {
  it('are complete without any input', () => {
    expect(readSettings({})).toMatchObject({
      stage: 'dev',
      tenant: 'default',
      archiveLock: { mode: 'governance', days: 1 },
      timing: { rotateTimeoutSeconds: 3600, reconcileEverySeconds: 300, stuckAfterSeconds: 900 },
    });
    expect(readSettings({}).timing.minWindowSeconds).toBeUndefined();
  });

  it.each(['minWindowSeconds', 'rotateTimeoutSeconds', 'reconcileEverySeconds', 'stuckAfterSeconds'])(
    'an AWS stage refuses timing.%s, by name',
    (name) => {
      const settings = { timing: { [name]: 60 } };
      expect(() => readSettings({ stage: 'prod', settings })).toThrow(
        `timing.${name}: only stage "local" may set it, this is stage "prod"`,
      );
      expect(readSettings({ stage: 'local', settings }).timing).toHaveProperty(name, 60);
    },
  );

  it('hold compliance mode back until it is asked for twice', () => {
    const settings = { archiveLock: { mode: 'compliance', days: 400 } };
    expect(() => readSettings({ settings })).toThrow('allowComplianceLock=true');
    expect(readSettings({ settings, allowComplianceLock: 'true' }).archiveLock.mode).toBe('compliance');
  });

  it.each([
    [{ stage: 'Prod!' }, 'stage:'],
    [{ settings: { tenants: 'x' } }, 'Unrecognized key'],
    [{ settings: { archiveLock: { days: 0 } } }, 'archiveLock.days:'],
    [{ settings: { logRetentionDays: 31 } }, 'logRetentionDays:'],
    [
      { settings: { network: { subnetIds: ['subnet-0a1b2c3d'], securityGroupIds: ['x'] } } },
      'network.securityGroupIds.0:',
    ],
    [{ stage: 'local', settings: { timing: { reconcileEverySeconds: 90 } } }, 'use whole minutes'],
    [{ settings: '/nowhere/settings.json' }, "can't read /nowhere/settings.json"],
    [{ settings: 7 }, 'settings: a JSON object'],
  ])('%j is refused with the name of what is wrong', (input, message) => {
    expect(() => readSettings(input)).toThrow(SettingsError);
    expect(() => readSettings(input)).toThrow(message);
  });
});
