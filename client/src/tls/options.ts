import type { SignRequest } from '../agent/api.ts';
import type { CredentialError } from '../errors.ts';
import type { Time } from '../time.ts';
import type { KeyKind } from './request.ts';

/** What certificates tell. None of the listeners is waited for. */
export interface CertificateEvents {
  /** Another certificate is in use. */
  readonly renewed?: (certificate: HeldCertificate) => void;
  /** A renewal has failed; the present certificate goes on being used. */
  readonly renewalFailed?: (failure: {
    readonly error: CredentialError;
    readonly retryInSeconds: number;
  }) => void;
  /** Others are trusted than before. */
  readonly bundleChanged?: (pem: string) => void;
  /** The bundle can't be read. Past `staleLimitSeconds`, or `expiredLimitSeconds` after `expire()`, nobody is trusted. */
  readonly bundleFailed?: (error: CredentialError) => void;
}

/** What certificates are made of. */
export interface CertificatesOptions {
  /** Address of the agent API: the output AgentApi of the deployment. */
  readonly api: string;
  /** Name of the certificate authority, as it is declared. */
  readonly credential: string;
  /** Address of the directory: the output DirectoryUrl. */
  readonly directory: string;
  /** The set, `target.name` of the declaration. */
  readonly set: string;
  /** Signs requests to the agent API: `sigV4` of `@rekey/client/sigv4`. */
  readonly sign: SignRequest;
  /** Which agent this is, where several run under the same role. */
  readonly agent?: string;
  /** Name of this instance: the last part of its SPIFFE id. Left out: the agent's own. */
  readonly instance?: string;
  /** P-256 where nothing is said. */
  readonly keyKind?: KeyKind;
  readonly on?: CertificateEvents;
  /** How long the first certificate may take; 60. */
  readonly firstSeconds?: number;
  /** How long what was trusted last is trusted while the directory can't be read; 90,000, which bears a day. */
  readonly staleLimitSeconds?: number;
  /** How long what was trusted before `expire()` is trusted while the bundle can't be read again; 60. Then nobody is. */
  readonly expiredLimitSeconds?: number;
  /** How long one call may take; 10. */
  readonly callTimeoutSeconds?: number;
  readonly fetch?: typeof globalThis.fetch;
  /** Clocks and timers, for tests. */
  readonly time?: Time;
}

/** The certificate that is in use. */
export interface HeldCertificate {
  /** The SPIFFE id. */
  readonly id: string;
  readonly serial: string;
  /** Id of the certificate authority. */
  readonly authority: string;
  /** PEM. */
  readonly certificate: string;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}
