import { createHash } from 'node:crypto';
import type { Redacted } from './redacted.ts';

/**
 * Fingerprint of a secret of at least 128 random bits: `sha256:<hex>`. Such a value can't be guessed, so a plain
 * hash does not disclose it and anyone who holds the value can match it (C1, audit-and-security decision 7).
 */
export function fingerprint(material: Redacted<string>): string {
  return `sha256:${createHash('sha256').update(material.reveal()).digest('hex')}`;
}
