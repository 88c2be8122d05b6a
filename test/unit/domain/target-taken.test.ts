import { describe, expect, it } from 'vitest';
import { targetTaken } from '../../../shared/domain/credential.ts';

describe('a target that another credential has', () => {
  it.each([
    ['database', 'postgresql', 'target.ownerRole', 'owner role'],
    ['signing-key', 'jwks', 'target.name', 'name'],
    ['agent-token', 'opaque', 'target.name', 'name'],
    ['certificate-authority', 'x509', 'target.name', 'name'],
    ['certificate-authority', 'leaf', 'target.holder', 'holder or instance'],
    ['api-key', 'openai', 'target', 'target'],
  ])(
    'of type %s and provider %s is refused by %s, which another one mends',
    (type, provider, field, another) => {
      const { remedy, message, ...refusal } = targetTaken({ name: 'shop', type, provider });
      expect(refusal).toMatchObject({ code: 'ERR_DECLARATION', field });
      expect(remedy).toBe(`shop has it; declare another ${another}`);
      expect(message.includes('users')).toBe(type === 'database');
    },
  );
});
