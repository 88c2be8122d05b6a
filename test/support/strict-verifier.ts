import { createHash, X509Certificate } from 'node:crypto';
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import type { SetKind } from '../../shared/domain/directory.ts';

/**
 * A verifier that keeps what it has read for as long as it may, and asks for nothing in between: what it doesn't know it
 * refuses. So it meets whatever was not published in time; keys are `jose`'s.
 */
export class StrictVerifier {
  readonly #url: string;
  readonly #kind: SetKind;
  readonly #clock: () => number;
  #read: { readonly body: unknown; readonly until: number } | undefined;

  constructor(directory: string, kind: SetKind, set: string, clock: () => number) {
    this.#url = `${directory}/${kind}/${set}`;
    this.#kind = kind;
    this.#clock = clock;
  }

  /** It was told of a revocation. */
  expire(): void {
    this.#read = undefined;
  }

  /** Whether it takes a bearer token, a certificate (PEM), or what an issuer has signed. */
  async takes(text: string, issuer = ''): Promise<boolean> {
    const body = await this.#current();
    if (this.#kind === 'tokens') {
      const digest = createHash('sha256').update(text).digest('base64url');
      return (body as { tokens: { digest: string }[] }).tokens.some((told) => told.digest === digest);
    }
    if (this.#kind === 'bundles') return vouchesFor(String(body), text, this.#clock());
    const keys = createLocalJWKSet(body as JSONWebKeySet);
    const currentDate = new Date(this.#clock());
    return jwtVerify(text, keys, { issuer, currentDate }).then(
      () => true,
      () => false,
    );
  }

  async #current(): Promise<unknown> {
    const now = this.#clock();
    if (this.#read !== undefined && now < this.#read.until) return this.#read.body;
    const response = await fetch(this.#url);
    if (response.ok) {
      const seconds = Number(/max-age=(\d+)/.exec(response.headers.get('cache-control') ?? '')?.[1] ?? 0);
      const body: unknown = this.#kind === 'bundles' ? await response.text() : await response.json();
      this.#read = { body, until: now + seconds * 1000 };
    }
    // Down: what was read last.
    if (this.#read === undefined) throw new Error('nothing was ever read');
    return this.#read.body;
  }
}

/** Whether an authority of a bundle has signed a certificate that counts now, by what Node makes of both. */
export function vouchesFor(bundle: string, certificate: string, now: number): boolean {
  const leaf = new X509Certificate(certificate);
  const counts = (each: X509Certificate): boolean =>
    each.validFromDate.getTime() <= now && now < each.validToDate.getTime();
  const authorities = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return (
    counts(leaf) &&
    authorities
      .map((pem) => new X509Certificate(pem))
      .some((each) => counts(each) && leaf.checkIssued(each) && leaf.verify(each.publicKey))
  );
}
