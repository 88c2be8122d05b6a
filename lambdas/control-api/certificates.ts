import { RekeyError } from '../../shared/domain/errors.ts';
import type { RevocationWish, RevokedCertificate } from '../../shared/engine/certificates/revoke.ts';
import { ENV } from '../../shared/names.ts';
import { optionalSetting } from '../compose.ts';
import type { ControlServices } from './route.ts';

/** Certificates by the function that signs lists of what is revoked; a deployment without authorities refuses with what to do. */
export function certificatesBy(
  ask: (functionArn: string, request: object) => Promise<RevokedCertificate>,
): Pick<ControlServices, 'revokeCertificate'> {
  return {
    revokeCertificate: async (wish: RevocationWish) => {
      const functionArn = optionalSetting(ENV.revokeCertificates);
      if (functionArn !== undefined) return ask(functionArn, { action: 'revoke', ...wish });
      throw new RekeyError('ERR_DECLARATION', 'this deployment has no certificate authorities', {
        field: 'types',
        remedy: 'name certificate-authority in its setting types, and deploy (docs/providers/x509.md)',
      });
    },
  };
}
