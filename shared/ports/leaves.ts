import type { Leaf } from '../domain/leaf.ts';

/** The certificates that were issued to agents, below the set of their trust bundle. */
export interface Leaves {
  /** The one that a key has had, by the key's fingerprint. */
  ofKey(set: string, fingerprint: string): Promise<Leaf | undefined>;
  /** The one of that serial number, by the id of its authority. */
  bySerial(set: string, authority: string, serial: string): Promise<Leaf | undefined>;
  /**
   * Counts one more of an agent by an authority in this hour.
   * @throws RekeyError ERR_CAPACITY where it has had `limit` of them
   */
  count(set: string, of: Pick<Leaf, 'authority' | 'agent'>, limit: number): Promise<void>;
  /**
   * Records one before it is signed.
   * @throws RekeyError ERR_CONFLICT where its key has had one already
   */
  record(set: string, leaf: Leaf): Promise<void>;
  /** Keeps where the issuer has the certificate of a key that is recorded. */
  refer(set: string, leaf: Leaf, ref: string): Promise<void>;
  /** Records one that has its certificate by the serial number that the issuer has given it. */
  renumber(set: string, leaf: Leaf, serial: string): Promise<void>;
}
