import type { SeenReader } from '../domain/readers.ts';

/**
 * Who was seen to read a secret, by the secret's name: a secret has readers before it has a credential. Apart from heads
 * and records, which a fleet that reads must not contend with (hard decision 13).
 */
export interface ReaderLog {
  /** Keeps a sighting, unless one is kept that is fresh enough. Answers whether it was written. */
  saw(secret: string, reader: SeenReader): Promise<boolean>;
  /** Those seen in the last 90 days, in no order; of very many, some. */
  of(secret: string): Promise<readonly SeenReader[]>;
}
