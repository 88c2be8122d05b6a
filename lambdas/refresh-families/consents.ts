import type { GivenConsent } from '../../shared/api/messages.ts';
import type { Family } from '../../shared/domain/families.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { Trigger } from '../../shared/domain/rotation.ts';
import { connectFamily } from '../../shared/engine/families/connect.ts';
import { asConnecting, askForConsent, type ConsentAsked } from '../../shared/engine/families/consent.ts';
import type { FamilyDeps } from '../../shared/engine/families/deps.ts';
import type { ConsentRequest } from '../../shared/ports/authorization-server.ts';

/** What `control-api` asks for. `connect` carries a code and its verifier: no request is ever logged. */
export type ConsentCall =
  | { readonly action: 'ask-for-consent'; readonly name: string; readonly request: ConsentRequest }
  | {
      readonly action: 'connect';
      readonly name: string;
      readonly consent?: GivenConsent | undefined;
      readonly trigger: Trigger;
    };

/** Answers it. @throws RekeyError where it is refused */
export async function answerConsent(
  deps: FamilyDeps,
  call: ConsentCall,
): Promise<ConsentAsked | { readonly family: Family }> {
  try {
    return call.action === 'ask-for-consent'
      ? await askForConsent(deps, call)
      : { family: await connect(deps, call) };
  } catch (error) {
    throw asConnecting(error, call.name);
  }
}

async function connect(
  deps: FamilyDeps,
  { name, trigger, consent }: Extract<ConsentCall, { action: 'connect' }>,
): Promise<Family> {
  const given = consent && {
    code: new Redacted(consent.code),
    codeVerifier: new Redacted(consent.codeVerifier),
    redirectUri: consent.redirectUri,
  };
  return connectFamily(deps, { name, consent: given, trigger });
}
