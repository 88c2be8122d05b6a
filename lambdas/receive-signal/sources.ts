import { RekeyError } from '../../shared/domain/errors.ts';
import { eventGrid } from '../../shared/domain/signals/azure.ts';
import { gcpSignals } from '../../shared/domain/signals/gcp.ts';
import { githubSignals } from '../../shared/domain/signals/github.ts';
import { partnerKeyId, partnerSignals } from '../../shared/domain/signals/github-partner.ts';
import { gitguardianSignals } from '../../shared/domain/signals/gitguardian.ts';
import { sharedSecrets, type SharedSecrets } from '../../shared/domain/signals/hmac.ts';
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
  azure: async (delivery, { secretArn, credentials }, keys) => {
    const { signals, validationCode } = eventGrid(delivery, await secretsOf(keys, secretArn));
    return {
      signals,
      names: credentials,
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

async function secretsOf(keys: SourceKeys, arn: string): Promise<SharedSecrets> {
  return sharedSecrets(await keys.secret(arn));
}

function bearerOf({ header }: Delivery): string {
  const [, jwt] = /^Bearer ([\w.-]+)$/i.exec(header('authorization') ?? '') ?? [];
  if (jwt === undefined) throw forged();
  return jwt;
}
