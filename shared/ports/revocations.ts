import type { RevocationList } from '../domain/revocations.ts';

/** What is revoked of certificate authorities, beside their trust bundles. */
export interface Revocations {
  /** The list of an authority as the last write has left it. */
  read(set: string, authority: string): Promise<RevocationList | undefined>;
  /**
   * Writes a list.
   * @throws RekeyError ERR_CONFLICT where somebody has written since `list.version` was read: read again, decide again
   */
  write(list: RevocationList): Promise<RevocationList>;
}
