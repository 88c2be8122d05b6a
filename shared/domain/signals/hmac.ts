import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Redacted } from '../redacted.ts';
import { forged } from './signal.ts';

/** The shared secrets of a source: one a line, so that an old one counts while its sender moves to the new one. */
export type SharedSecrets = Redacted<readonly string[]>;

/** The lines of a stored secret that are not empty. */
export function sharedSecrets(text: Redacted<string>): SharedSecrets {
  return text.map((all) =>
    all
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== ''),
  );
}

/**
 * Holds `sha256=<hex>` against the HMAC-SHA-256 of the message under each secret.
 * @throws RekeyError ERR_FORBIDDEN
 */
export function assertHmac(
  given: string | undefined,
  secrets: SharedSecrets,
  message: Uint8Array,
  keyOf: (secret: string) => string = (secret) => secret,
): void {
  const [, hex] = /^sha256=([0-9a-f]{64})$/i.exec(given ?? '') ?? [];
  if (hex === undefined) throw forged();
  const claimed = Buffer.from(hex, 'hex');
  // All of them, so that the time tells nothing of which.
  const good = secrets
    .reveal()
    .filter((secret) =>
      timingSafeEqual(claimed, createHmac('sha256', keyOf(secret)).update(message).digest()),
    );
  if (good.length === 0) throw forged();
}

/** Holds a word against each secret, without its time telling of either. @throws RekeyError ERR_FORBIDDEN */
export function assertWord(given: string | undefined, secrets: SharedSecrets): void {
  const digest = (word: string): Buffer => createHash('sha256').update(word).digest();
  const claimed = digest(given ?? '');
  const good = secrets.reveal().filter((secret) => timingSafeEqual(claimed, digest(secret)));
  if (given === undefined || good.length === 0) throw forged();
}
