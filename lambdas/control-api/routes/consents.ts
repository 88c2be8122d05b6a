import {
  consentGiven,
  consentRequest,
  type ConsentAnswer,
  type ConsentRequestAnswer,
} from '../../../shared/api/messages.ts';
import type { Family } from '../../../shared/domain/families.ts';
import { parse, type Call } from '../../http/request.ts';
import { triggerOf } from '../lookup.ts';
import type { ControlServices, Done } from '../route.ts';

export async function askForConsent(
  call: Call,
  services: ControlServices,
): Promise<Done<ConsentRequestAnswer>> {
  const request = parse(consentRequest, call.body());
  const [name = ''] = call.params;
  const { family, address } = await services.askForConsent({ name, request });
  const about = { family: family.name, scopes: [...family.terms.scopes] };
  return { status: 200, body: { ...about, sendsIssuer: false, ...address } };
}

export async function giveConsent(call: Call, services: ControlServices): Promise<Done<ConsentAnswer>> {
  const { consent, reason } = parse(consentGiven, call.body());
  const [name = ''] = call.params;
  const trigger = triggerOf(call.actor, reason);
  const { family } = await services.connectFamily({ name, consent, trigger });
  return { status: 200, body: consentView(family) };
}

function consentView({ name, status, secretName, terms, tokens }: Family): ConsentAnswer {
  const { scope, expiresAt } = tokens ?? {};
  // A server that tells no scope has granted what was asked for (RFC 6749, 5.1).
  const granted = scope?.split(' ') ?? terms.scopes;
  return {
    family: name,
    status,
    secret: secretName,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(scope === undefined ? {} : { scope }),
    missing: terms.scopes.filter((each) => !granted.includes(each)),
    refreshable: terms.grant === 'client_credentials' || tokens?.refreshable === true,
  };
}
