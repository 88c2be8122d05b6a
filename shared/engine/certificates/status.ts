import { authorityDocument } from '../../domain/bundle.ts';
import { isRekeyError } from '../../domain/errors.ts';
import { toInstant, type Clock, type Instant } from '../../domain/clock.ts';
import type { DirectoryEntry, DirectorySet } from '../../domain/directory.ts';
import { revocationIn } from '../../domain/revocations.ts';
import type { Leaves } from '../../ports/leaves.ts';
import type { Revocations } from '../../ports/revocations.ts';
import type { Signer } from '../../ports/signer.ts';
import {
  laterAnswer,
  parseStatusRequest,
  statusAnswer,
  unknownAnswer,
  type Responder,
  type Status,
  type StatusRequest,
} from '../../x509/ocsp.ts';
import { responderOf } from './responders.ts';

/** Answers that are remembered at once. */
const REMEMBERED = 1000;

/** A serial number as certificates have them (RFC 5280, section 4.1.2.2): one of another length is nobody's, and no key of the table. */
const SERIAL = /^(?:[0-9a-f]{2}){1,20}$/;

/** What answers about certificates need. */
export interface StatusDeps {
  readonly leaves: Pick<Leaves, 'bySerial'>;
  readonly revocations: Pick<Revocations, 'read'>;
  /** The key that tells which certificates are revoked, and signs nothing else; absent where no authority is deployed. */
  readonly signer?: Signer | undefined;
  readonly clock: Clock;
}

/** An answer of OCSP in DER, and how long caches may keep it. */
export interface StatusAnswered {
  readonly der: Uint8Array;
  readonly cacheSeconds: number;
}

/**
 * Tells whether a certificate is revoked (RFC 6960). Only what was issued is signed for, and each answer is remembered for half
 * of its life: asking for many makes no signatures.
 */
export class CertificateStatuses {
  readonly #deps: StatusDeps;
  readonly #answers = new Map<string, { readonly der: Uint8Array; readonly until: number }>();

  constructor(deps: StatusDeps) {
    this.#deps = deps;
  }

  /** @throws RekeyError ERR_REQUEST */
  async of(set: DirectorySet, request: Uint8Array): Promise<StatusAnswered> {
    const { leaves, revocations, signer, clock } = this.#deps;
    const { cacheSeconds, skewSeconds } = set.times;
    const asked = parseStatusRequest(request);
    const authority = set.entries.find(({ document }) =>
      asked.isOf(authorityDocument.parse(document).certificate),
    );
    const nothing = { der: unknownAnswer(), cacheSeconds: 0 };
    if (signer === undefined || authority === undefined) return nothing;
    if (!SERIAL.test(asked.serial)) return nothing;
    const place = `${set.name}#${authority.id}#${asked.serial}#${authority.state}#${asked.hashForm}`;
    const now = clock();
    const known = this.#answers.get(place);
    if (known !== undefined && now < known.until) return { der: known.der, cacheSeconds };
    if ((await leaves.bySerial(set.name, authority.id, asked.serial)) === undefined) return nothing;
    const list = await revocations.read(set.name, authority.id);
    const certificate = responderOf(authority, list);
    if (certificate === undefined) return nothing;
    const revoked = revocationIn(list, asked.serial);
    const der = await answered({ signer, certificate }, asked, {
      ...(revoked === undefined ? {} : { revokedAt: revoked.revokedAt }),
      ...revocationOf(authority, now),
      // Whose clock is apart takes it as well.
      thisUpdate: toInstant(now - skewSeconds * 1000),
      nextUpdate: toInstant(now + (cacheSeconds + skewSeconds) * 1000),
    });
    if (der === undefined) return { der: laterAnswer(), cacheSeconds: 0 };
    if (this.#answers.size >= REMEMBERED) this.#answers.clear();
    this.#answers.set(place, { der, until: now + cacheSeconds * 500 });
    return { der, cacheSeconds };
  }
}

/** The key that answers may have been replaced: the authority certifies the new one in a moment. */
async function answered(
  responder: Responder,
  asked: StatusRequest,
  status: Status,
): Promise<Uint8Array | undefined> {
  try {
    return await statusAnswer(responder, asked, status);
  } catch (error) {
    if (!isRekeyError(error, 'ERR_REJECTED')) throw error;
    return undefined;
  }
}

/** What an authority has signed is revoked with it. */
function revocationOf({ state, endedAt }: DirectoryEntry, now: number): { readonly revokedAt?: Instant } {
  if (state !== 'ended') return {};
  return { revokedAt: endedAt ?? toInstant(now) };
}
