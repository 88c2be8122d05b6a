import { hkdfSync } from 'node:crypto';
import type { Redacted } from './redacted.ts';

const INFO = 'rekey acknowledgement v1';
const BYTES = 32;

/**
 * The key under which whoever has the text of a secret proves it, for one rotation (docs/agents.md). It tells nothing of
 * the text, which therefore needn't be read where proofs are checked (hard decision 7).
 */
export function acknowledgementKey(text: Redacted<string>, rotation: string): Redacted<Uint8Array> {
  return text.map((value) => new Uint8Array(hkdfSync('sha256', value, rotation, INFO, BYTES)));
}
