import { RekeyError } from '../../shared/domain/errors.ts';
import { eventGrid } from '../../shared/domain/signals/azure.ts';
import { gcpSignals } from '../../shared/domain/signals/gcp.ts';
import { githubSignals } from '../../shared/domain/signals/github.ts';
import { partnerKeyId, partnerSignals } from '../../shared/domain/signals/github-partner.ts';
import { gitguardianSignals } from '../../shared/domain/signals/gitguardian.ts';
import { assertWord, sharedSecrets, type SharedSecrets } from '../../shared/domain/signals/hmac.ts';
import { riscSignals } from '../../shared/domain/signals/risc.ts';
import type { Names, SignalSettings } from '../../shared/domain/signals/settings.ts';
import { forged, type Delivery, type Signal, type SignalSource } from '../../shared/domain/signals/signal.ts';
import { siemSignals } from '../../shared/domain/signals/siem.ts';
import type { SourceKeys } from '../../shared/ports/signals.ts';

/** What a delivery holds, once it is known to come from its source. */
export interface FromSource {
  readonly signals: readonly Signal[];
  readonly names?: Names;
  /** What the source wants to be told, where it asks. */
  readonly reply?: object;
}

type Read<S extends SignalSource> = (
  delivery: Delivery,
  settings: NonNullable<SignalSettings[S]>,
  keys: SourceKeys,
) => Promise<FromSource>;

const READ: { readonly [S in SignalSource]: Read<S> } = {
  github: async (delivery, { secretArn }, keys) => ({
    signals: githubSignals(delivery, await secretsOf(keys, secretArn)),
  }),
  'github-partner': async (delivery, _settings, keys) => ({
    signals: partnerSignals(delivery, await keys.partnerKey(partnerKeyId(delivery))),
  }),
  gitguardian: async (delivery, { secretArn }, keys) => ({
    signals: gitguardianSignals(delivery, await secretsOf(keys, secretArn)),
  }),
  siem: async (delivery, { secretArn }, keys) => ({
    signals: siemSignals(delivery, await secretsOf(keys, secretArn)),
  }),
  risc: async ({ body, now }, { credentials, ...terms }, keys) => ({
    // RFC 8417: a token for another end must not be taken for one. Most have no `exp`.
    signals: riscSignals(
      await keys.claims(body.toString('utf8').trim(), {
        ...terms,
        type: 'secevent+jwt',
        maxAgeSeconds: SET_AGE_SECONDS,
      }),
      now,
    ),
    names: credentials,
  }),
  gcp: async (delivery, { audience, serviceAccount, credentials }, keys) => {
    const claims = await keys.claims(bearerOf(delivery), {
      issuer: GOOGLE.issuer,
      audience,
      jwksUrl: GOOGLE.jwksUrl,
    });
    if (claims['email'] !== serviceAccount || claims['email_verified'] !== true) throw forged();
    return { signals: gcpSignals(delivery), names: credentials };
  },
  azure: async (delivery, settings, keys) => {
    await assertEventGrid(delivery, settings, keys);
    const { signals, validationCode } = eventGrid(delivery);
    return {
      signals,
      names: settings.credentials,
      ...(validationCode === undefined ? {} : { reply: { validationResponse: validationCode } }),
    };
  },
};

/** A transmitter tries again for days what it could not deliver. */
const SET_AGE_SECONDS = 7 * 24 * 3600;

const GOOGLE = {
  issuer: 'https://accounts.google.com',
  jwksUrl: 'https://www.googleapis.com/oauth2/v3/certs',
} as const;

/**
 * The signals of a delivery.
 * @throws RekeyError ERR_FORBIDDEN where it isn't known to come from its source, ERR_REQUEST where it has no form of it,
 *   ERR_NOT_FOUND where the source isn't deployed
 */
export function readSource<S extends SignalSource>(
  source: S,
  delivery: Delivery,
  settings: SignalSettings,
  keys: SourceKeys,
): Promise<FromSource> {
  const own = settings[source];
  if (own === undefined) throw new RekeyError('ERR_NOT_FOUND', 'there is no such route');
  const read: Read<S> = READ[source];
  return read(delivery, own, keys);
}

/** The application that Event Grid is in every tenant of Azure's public cloud. */
const EVENT_GRID = '4962773b-9cdb-44cf-a8bf-237846a00ab7';

/**
 * Event Grid brings a token of Entra, or knows a word in the address (`?key=…`). Where the settings name both, either counts, so that
 * a subscription can move; a token that is none is never made up for by the word.
 */
async function assertEventGrid(
  delivery: Delivery,
  { secretArn, entra }: NonNullable<SignalSettings['azure']>,
  keys: SourceKeys,
): Promise<void> {
  const hasToken = entra !== undefined && delivery.header('authorization') !== undefined;
  if (secretArn !== undefined && !hasToken)
    return assertWord(delivery.query['key'], await secretsOf(keys, secretArn));
  if (entra === undefined) throw forged();
  const authority = `https://login.microsoftonline.com/${entra.tenant}`;
  const { azp, appid } = await keys.claims(bearerOf(delivery), {
    // The application's own setting decides between tokens of version 1 and 2.
    issuer: [`https://sts.windows.net/${entra.tenant}/`, `${authority}/v2.0`],
    audience: entra.audience,
    jwksUrl: `${authority}/discovery/v2.0/keys`,
  });
  // Whoever may ask for a token for the application has one of the same issuer, in another name.
  if ((azp ?? appid) !== EVENT_GRID) throw forged();
}

async function secretsOf(keys: SourceKeys, arn: string): Promise<SharedSecrets> {
  return sharedSecrets(await keys.secret(arn));
}

function bearerOf({ header }: Delivery): string {
  const [, jwt] = /^Bearer ([\w.-]+)$/i.exec(header('authorization') ?? '') ?? [];
  if (jwt === undefined) throw forged();
  return jwt;
}
