import type { DirectorySet, SetRef } from '../domain/directory.ts';

/** A secret part that its holder doesn't have yet, sealed; kept apart from what verifiers read. */
export interface SealedPart {
  readonly id: string;
  readonly text: string;
}

/** What verifiers may know of the identities that Rekey issues, and what is kept sealed beside it. */
export interface Directory {
  /** A set as the last write has left it. */
  read(ref: SetRef): Promise<DirectorySet | undefined>;
  /**
   * Writes a set in one transaction with the sealed parts that it keeps and drops from then on.
   * @throws RekeyError ERR_CONFLICT where somebody has written since `set.version` was read: read again, decide again
   */
  write(
    set: DirectorySet,
    sealed?: { readonly keep?: readonly SealedPart[]; readonly drop?: readonly string[] },
  ): Promise<DirectorySet>;
  /** The sealed part of an entry; undefined where none is kept. */
  sealed(ref: SetRef, id: string): Promise<string | undefined>;
}

/** For whoever may only look. */
export type DirectoryReads = Pick<Directory, 'read'>;
