import { RekeyError } from './errors.ts';
import type { Family, FamilyServer, FamilyTerms } from './families.ts';

/** What is sent somewhere with the client's secret or a token in it, or says where that is. */
const SECRETS_GO_TO = [
  'issuer',
  'tokenEndpoint',
  'revocationEndpoint',
] as const satisfies readonly (keyof FamilyServer)[];

/**
 * Refuses another host for a family that has tokens: whoever may declare could otherwise have its refresh token sent to
 * a host of his own. One that the family has declared already is none.
 * @throws RekeyError ERR_DECLARATION with the field
 */
export function assertSameServer(before: Family, { server }: Pick<FamilyTerms, 'server'>): void {
  if (!hasTokens(before)) return;
  const known = SECRETS_GO_TO.map((field) => hostOf(before.terms.server[field]));
  const field = SECRETS_GO_TO.find(
    (each) => !known.includes(hostOf(server[each])) && server[each] !== undefined,
  );
  if (field === undefined) return;
  throw new RekeyError(
    'ERR_DECLARATION',
    `the host of server.${field} can't be changed while the family has tokens`,
    {
      field: `server.${field}`,
      remedy: 'declare it under another name and connect that; then unregister this one',
    },
  );
}

/** Also those that an attempt may bring, and those that are still to be revoked. */
function hasTokens({ tokens, attempt, incident }: Family): boolean {
  return tokens !== undefined || attempt !== undefined || (incident?.pending.length ?? 0) > 0;
}

/** With its port, where that is not the usual one. */
function hostOf(address: string | undefined): string | undefined {
  return address !== undefined && URL.canParse(address) ? new URL(address).host : undefined;
}
