import { describe, expect, it } from 'vitest';
import { targetTaken } from '../../../shared/domain/credential.ts';

describe('a target that another credential has', () => {
  it.each([
    ['database', 'target.ownerRole', 'owner role'],
    ['signing-key', 'target.name', 'name'],
    ['agent-token', 'target.name', 'name'],
    ['certificate-authority', 'target.name', 'name'],
    ['api-key', 'target', 'target'],
  ])('of type %s is refused by %s, which another one mends', (type, field, another) => {
    const { remedy, message, ...refusal } = targetTaken({ name: 'shop', type });
    expect(refusal).toMatchObject({ code: 'ERR_DECLARATION', field });
    expect(remedy).toBe(`shop has it; declare another ${another}`);
    expect(message.includes('users')).toBe(type === 'database');
  });
});
